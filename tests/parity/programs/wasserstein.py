"""Points on a ring drawn by a generator whose critic pays for gradients of norms other than one: a second derivative."""

import math


def program(torch, data):
    nn = torch.nn
    critic = data.start(
        nn.Sequential(nn.Linear(2, 32), nn.Softplus(), nn.Linear(32, 32), nn.Softplus(), nn.Linear(32, 1))
    )
    generator = data.start(nn.Sequential(nn.Linear(3, 32), nn.Softplus(), nn.Linear(32, 2)))
    critic_steps = torch.optim.RMSprop(critic.parameters(), lr=2e-3)
    generator_steps = torch.optim.RMSprop(generator.parameters(), lr=2e-3)
    batch = 32

    def real():
        turn = data.uniform(batch, 1) * 2 * math.pi
        return torch.cat((turn.cos(), turn.sin()), 1) + 0.05 * data.normal(batch, 2)

    while True:
        for _ in range(2):
            points, drawn = real(), generator(data.normal(batch, 3)).detach()
            share = data.uniform(batch, 1)
            between = (share * points + (1 - share) * drawn).requires_grad_(True)
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
            loss = critic(drawn).mean() - critic(points).mean() + 10 * penalty
            critic_steps.zero_grad()
            loss.backward()
            critic_steps.step()
            yield loss.item()
        critic.requires_grad_(False)
        generator_steps.zero_grad()
        (-critic(generator(data.normal(batch, 3))).mean()).backward()
        generator_steps.step()
        critic.requires_grad_(True)
