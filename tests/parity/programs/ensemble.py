"""Five nets trained at once as one, by vmap over their stacked weights, with the spread of their answers."""

import copy


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    models = [data.start(nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))) for _ in range(5)]
    weights, buffers = torch.func.stack_module_state(models)
    base = copy.deepcopy(models[0])
    optimizer = torch.optim.Adam(weights.values(), lr=2e-2)

    def one(weights, buffers, x):
        return torch.func.functional_call(base, (weights, buffers), (x,))

    while True:
        x = data.normal(5, 20, 1)
        y = x.pow(3) / 4 + 0.1 * data.normal(5, 20, 1)
        answers = torch.func.vmap(one)(weights, buffers, x)
        loss = F.mse_loss(answers, y, reduction="none").mean((1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
        with torch.no_grad():
            everywhere = torch.func.vmap(one, in_dims=(0, 0, None))(
                weights, buffers, torch.linspace(-3, 3, 30)[:, None]
            )
        yield everywhere.std(dim=0).mean().item()
