"""A pole balanced on a cart by an actor and its critic, learning from one episode at a time."""

import math

import numpy as np


class Cart:
    """A cart of one kilogram with a pole of 0.1 kg and half a metre on it, pushed with ten newtons, 50 times a second."""

    def __init__(self, state):
        self.state = state

    def push(self, right):
        _, speed, angle, turning = self.state
        sine, cosine = math.sin(angle), math.cos(angle)
        pushed = ((10.0 if right else -10.0) + 0.05 * turning**2 * sine) / 1.1
        turned = (9.8 * sine - cosine * pushed) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
        moved = pushed - 0.05 * turned * cosine / 1.1
        change = np.array([speed, moved, turning, turned])
        self.state = self.state + 0.02 * change
        return abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.21


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Linear(4, 32)
            self.action = nn.Linear(32, 2)
            self.value = nn.Linear(32, 1)

        def forward(self, x):
            x = F.relu(self.shared(x))
            return F.softmax(self.action(x), dim=-1), self.value(x)

    model = data.start(Policy())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    while True:
        cart = Cart(data.random.uniform(-0.05, 0.05, size=4))
        taken, fell = [], False
        while not fell and len(taken) < 30:
            chances, value = model(data.tensor(cart.state))
            action = int(data.random.random() > chances[0].item())
            fell = cart.push(action)
            taken.append((torch.log(chances[action]), value))
        returns = []
        for _ in taken:
            returns.insert(0, 1.0 + 0.99 * (returns[0] if returns else 0.0))
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + 1e-6)
        actor, critic = [], []
        for (chance, value), reached in zip(taken, returns, strict=True):
            actor.append(-chance * (reached - value.item()))
            critic.append(F.smooth_l1_loss(value, reached.view(1)))
        optimizer.zero_grad()
        loss = torch.stack(actor).sum() + torch.stack(critic).sum()
        loss.backward()
        optimizer.step()
        yield loss.item()
