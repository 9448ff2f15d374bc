"""The heat in a rod found from its equation alone: a loss of first and second derivatives of the net's inputs."""

import math


def program(torch, data):
    nn = torch.nn
    model = data.start(
        nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def slope(y, x):
        return torch.autograd.grad(y, x, grad_outputs=torch.ones_like(y), create_graph=True)[0]

    def heat(x, t):
        return model(torch.hstack((x, t)))

    while True:
        x, t = (data.uniform(48, 1).requires_grad_() for _ in range(2))
        u = heat(x, t)
        misfit = slope(u, t) - 0.1 * slope(slope(u, x), x)
        start, edge = data.uniform(24, 1), data.integers(2, 24, 1).float()
        at_start = heat(start, torch.zeros_like(start)) - torch.sin(math.pi * start)
        at_edge = heat(edge, data.uniform(24, 1))
        loss = sum(part.square().mean() for part in (misfit, at_start, at_edge))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
