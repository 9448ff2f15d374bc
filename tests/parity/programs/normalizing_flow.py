"""Two crescents of points turned into a bell by steps that can be undone, and undone to draw more (Dinh et al. 2017)."""

import math


def program(torch, data):
    nn = torch.nn

    class Coupling(nn.Module):
        def __init__(self, flipped):
            super().__init__()
            self.flipped = flipped
            self.net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 2))

        def forward(self, x):
            kept, moved = x.chunk(2, dim=1)
            if self.flipped:
                kept, moved = moved, kept
            scale, shift = self.net(kept).tanh().unbind(dim=1)
            moved = moved * scale.exp()[:, None] + shift[:, None]
            return torch.cat((moved, kept) if self.flipped else (kept, moved), dim=1), scale

        def undo(self, z):
            kept, moved = z.split([1, 1], dim=1)
            if self.flipped:
                kept, moved = moved, kept
            scale, shift = self.net(kept).tanh().unbind(dim=1)
            moved = (moved - shift[:, None]) / scale.exp()[:, None]
            return torch.cat((moved, kept) if self.flipped else (kept, moved), dim=1)

    flow = data.start(nn.ModuleList(Coupling(i % 2 == 1) for i in range(4)))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2, weight_decay=1e-5)
    while True:
        for _ in range(5):
            turn, side = data.uniform(64) * math.pi, data.integers(2, 64).float()
            x = torch.stack([torch.cos(turn) + side, torch.sin(turn)], dim=-1)
            x[:, 1] *= 1 - 2 * side
            x = x + torch.tensor([-0.5, 0.25]) + 0.1 * data.normal(64, 2)
            z, stretched = x, torch.zeros(64)
            for step in flow:
                z, scale = step(z)
                stretched = stretched + scale
            loss = (0.5 * z.pow(2).sum(1) + math.log(2 * math.pi) - stretched).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()
        with torch.no_grad():
            drawn = data.normal(32, 2)
            for step in reversed(flow):
                drawn = step.undo(drawn)
        yield drawn.var(dim=0, correction=0).sum().item()
