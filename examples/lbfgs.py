"""Regression: what made this curve? A fading oscillation is found in noisy measurements by LBFGS, and by Adam for comparison.

python examples/lbfgs.py
"""

import argparse

import numpy as np

import gradwire as torch

TRUTH = {"height": 2.0, "fading": 0.35, "turns": 4.1, "phase": 0.6, "rest": 0.5}
NOISE = 0.1


def curve(t, height, fading, turns, phase, rest):
    return height * torch.exp(-fading * t) * torch.cos(turns * t + phase) + rest


def measurements(n=120):
    random = np.random.default_rng(0)
    t = torch.from_numpy(np.sort(random.uniform(0, 8, n)))
    return t, curve(t, **TRUTH) + torch.from_numpy(NOISE * random.standard_normal(n))


def guess():
    begin = {"height": 1.0, "fading": 0.1, "turns": 3.8, "phase": 0.0, "rest": 0.0}
    return {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in begin.items()
    }


def fitted(optimizer_of, steps, t, y):
    """The parameters found, and the loss after each evaluation of curve and gradient."""
    found, losses = guess(), []
    optimizer = optimizer_of(list(found.values()))

    def closure():
        optimizer.zero_grad()
        loss = (curve(t, **found) - y).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return {name: p.item() for name, p in found.items()}, losses


def plot(t, y, found, width=78, height=20):
    """Measurements as rings, the fitted curve as dots."""
    low, high = float(y.min()), float(y.max())
    page = [[" "] * width for _ in range(height)]

    def put(ts, ys, mark):
        for a, b in zip(ts.tolist(), ys.tolist(), strict=True):
            row = round((high - b) / (high - low) * (height - 1))
            if 0 <= row < height:
                page[row][round(a / 8 * (width - 1))] = mark

    smooth = torch.linspace(0, 8, 8 * width, dtype=torch.float64)
    put(smooth, curve(smooth, **found), ".")
    put(t, y, "o")
    return "\n".join("".join(row).rstrip() for row in page)


def main(steps=20):
    t, y = measurements()
    by_lbfgs, losses = fitted(
        lambda p: torch.optim.LBFGS(p, lr=1, max_iter=5, line_search_fn="strong_wolfe"), steps, t, y
    )
    by_adam, slower = fitted(lambda p: torch.optim.Adam(p, lr=0.1), len(losses), t, y)
    print(plot(t, y, by_lbfgs))
    print(f"\n{'':>10}{'truth':>10}{'LBFGS':>12}{'Adam':>12}")
    for name, value in TRUTH.items():
        print(f"{name:>10}{value:>10.4f}{by_lbfgs[name]:>12.4f}{by_adam[name]:>12.4f}")
    print(f"\nmean square after n evaluations of the gradient (the noise alone: {NOISE**2:.4f})")
    for n in (1, 5, 10, 20, 40, 80, 160):
        if n <= len(losses):
            print(f"{n:>10}{'':>10}{losses[n - 1]:>12.6f}{slower[n - 1]:>12.6f}")
    print(f"{len(losses):>10}{'':>10}{losses[-1]:>12.6f}{slower[-1]:>12.6f}")
    return by_lbfgs, losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=20, help="steps of LBFGS, of 5 iterations each")
    main(parser.parse_args().steps)
