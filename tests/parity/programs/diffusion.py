"""Noise told from a spiral of points at a random time of a diffusion, then taken away step by step."""

import math


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    times = 20
    betas = torch.linspace(1e-3, 0.3, times)
    kept = torch.cumprod(1 - betas, dim=0)

    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("rates", torch.logspace(0, 2, 8), persistent=False)
            self.net = nn.Sequential(
                nn.Linear(2 + 16, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 2)
            )

        def forward(self, x, time):
            angles = time[:, None] / times * self.rates[None]
            return self.net(torch.cat([x, angles.sin(), angles.cos()], dim=-1))

    model = data.start(Denoiser())
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.99)
    while True:
        for _ in range(4):
            turn = data.uniform(64).sqrt() * 3 * math.pi
            points = torch.stack((turn * turn.cos(), turn * turn.sin()), dim=1) / 10
            time, noise = data.integers(times, 64), data.normal(64, 2)
            share = kept[time].unsqueeze(1)
            noisy = share.sqrt() * points + (1 - share).sqrt() * noise
            loss = F.mse_loss(model(noisy, time), noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            yield loss.item()
        with torch.inference_mode():
            x = data.normal(16, 2)
            for t in range(times - 1, -1, -1):
                guess = model(x, torch.full((16,), t))
                x = (x - betas[t] / torch.sqrt(1 - kept[t]) * guess) / torch.sqrt(1 - betas[t])
                if t > 0:
                    x = x + betas[t].sqrt() * data.normal(16, 2)
        yield x.square().mean().item()
