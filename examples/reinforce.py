"""REINFORCE: many walkers at once learn by trial and error to cross slippery ice to the goal. Williams, 1992.

python examples/reinforce.py

The world is written in NumPy; the policy is a small net. The map of what it would do is drawn before, meanwhile and after.
"""

import argparse

import numpy as np

import gradwire as torch
from gradwire import nn
from gradwire.nn import functional as F

MAP = """
S..#....
...#.O..
.O...#..
.#.O.#O.
.#...#..
...O...G
""".split()  # S: start, G: goal, O: a hole in the ice, #: a wall
MOVES = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
ARROWS = "^>v<"
SLIP = 0.1  # how often a walker slides to the left or the right of where it wants to go
HOLE = 0.3  # what falling costs; at 1.0 they only learn not to go anywhere
LONGEST = 40  # moves in a walk


class Ice:
    """`walkers` at once. A move costs 0.01, a hole HOLE; the goal is worth 1."""

    def __init__(self, walkers, random):
        self.cells = np.array([list(row) for row in MAP])
        self.random = random
        self.at = np.tile(np.argwhere(self.cells == "S")[0], (walkers, 1))
        self.walking = np.ones(walkers, bool)

    def seen(self):
        return self.at[:, 0] * self.cells.shape[1] + self.at[:, 1]

    def move(self, actions):
        """What each walker earns; those whose walk has ended earn nothing and stay."""
        slides = self.random.choice([-1, 0, 1], size=len(actions), p=[SLIP / 2, 1 - SLIP, SLIP / 2])
        to = np.clip(self.at + MOVES[(actions + slides) % 4], 0, np.array(self.cells.shape) - 1)
        free = self.walking & (self.cells[to[:, 0], to[:, 1]] != "#")
        self.at = np.where(free[:, None], to, self.at)
        here = self.cells[self.at[:, 0], self.at[:, 1]]
        earned = np.where(self.walking, (here == "G") * 1.0 - (here == "O") * HOLE - 0.01, 0.0)
        self.walking = self.walking & (here != "G") & (here != "O")
        return earned


class Policy(nn.Module):
    def __init__(self, cells, width=32):
        super().__init__()
        self.layers = nn.Sequential(nn.Embedding(cells, width), nn.Tanh(), nn.Linear(width, len(MOVES)))

    def forward(self, cells):
        return F.log_softmax(self.layers(cells), dim=-1)


def drawn(policy):
    """The map, with the likeliest move in each free cell."""
    cells = np.array([list(row) for row in MAP])
    with torch.no_grad():
        best = policy(torch.arange(cells.size)).argmax(dim=1).numpy().reshape(cells.shape)
    return "\n".join(
        " ".join(ARROWS[move] if mark in ".S" else mark for mark, move in zip(row, moves, strict=True))
        for row, moves in zip(cells, best, strict=True)
    )


def walk(policy, walkers, random):
    """Log-chances of the moves that were made (moves, walkers), what was earned, and the entropy of the choices."""
    ice, chances, earned, spread = Ice(walkers, random), [], [], []
    while ice.walking.any() and len(earned) < LONGEST:
        walking = torch.from_numpy(ice.walking.astype(np.float32))
        log_chances = policy(torch.from_numpy(ice.seen()))
        actions = torch.multinomial(log_chances.detach().exp(), 1)
        chances.append(log_chances.gather(1, actions)[:, 0] * walking)
        spread.append(-(log_chances.exp() * log_chances).sum(dim=1) * walking)
        earned.append(ice.move(actions[:, 0].numpy()))
    return torch.stack(chances), np.array(earned), torch.stack(spread)


def main(updates=400, walkers=64):
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    policy = Policy(len(MAP) * len(MAP[0]))
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.02)
    print(f"before\n{drawn(policy)}\n\nupdate   mean of what a walk earned   reached the goal")
    for update in range(1, updates + 1):
        chances, earned, spread = walk(policy, walkers, random)
        ahead = np.cumsum(earned[::-1], axis=0)[::-1].copy()  # what each walker earned from each move on
        better = torch.from_numpy((ahead - ahead.mean(axis=1, keepdims=True)).astype(np.float32))
        curious = 0.1 * (1 - update / updates)  # what an undecided move is worth, less and less
        loss = -((chances * better).sum() + curious * spread.sum()) / walkers
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update in (1, updates // 2) or update % 50 == 0:
            reached = (earned > 0.5).any(axis=0).mean()
            print(f"{update:>6}{earned.sum(axis=0).mean():>29.3f}{reached:>19.0%}")
    print(f"\nafter\n{drawn(policy)}")
    return policy, reached


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--updates", type=int, default=400, help="updates of the policy, each after 64 walks")
    main(parser.parse_args().updates)
