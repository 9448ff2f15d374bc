"""Is it true? A net that is built anew along the tree of each expression, such as `not (True and False) or True`.

python examples/tree.py                           # trains, then judges expressions deeper than any it has seen
gradwire train examples/tree.py --workers 2       # the same bits, data-parallel, through the service

Python's own parser makes the trees. What the words mean is learnt from whole expressions and their truth alone.
"""

import ast
import random

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F


class TreeNet(nn.Module):
    """A state for each of True and False, and for each operator a net that makes one state of those below it."""

    def __init__(self, width):
        super().__init__()
        self.leaves = nn.Embedding(2, width)
        self.inner = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(n * width, 2 * width), nn.Tanh(), nn.Linear(2 * width, width), nn.Tanh())
             for name, n in (("And", 2), ("Or", 2), ("Not", 1), ("NotEq", 2))}
        )  # fmt: skip
        self.judge = nn.Linear(width, 1)

    def state(self, node):
        match node:
            case ast.Constant(value):
                return self.leaves.weight[int(value)]
            case ast.BoolOp(op, [left, right]):
                below = [left, right]
            case ast.UnaryOp(op, operand):
                below = [operand]
            case ast.Compare(left, [op], [right]):
                below = [left, right]
        return self.inner[type(op).__name__](torch.cat([self.state(n) for n in below]))

    def forward(self, text):
        return self.judge(torch.tanh(self.state(ast.parse(text, mode="eval").body)))[0]


class Truth(Job):
    """Is it true?"""

    epochs = 8
    batch_size = 16
    lr = 1e-2
    width = 8
    samples = 600
    depth = 3

    def model(self):
        return TreeNet(self.width)

    def train_data(self):
        return expressions(self.samples, self.depth, seed=1)

    def eval_data(self):
        return expressions(self.samples // 6, self.depth + 1, seed=2)  # one level deeper

    def collate(self, samples):
        texts, truths = zip(*samples, strict=True)
        return texts, torch.tensor([float(truth) for truth in truths])

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=self.lr)

    def loss(self, model, batch):
        texts, truths = batch
        scores = torch.stack([model(text) for text in texts])
        right = ((scores > 0) == (truths > 0.5)).float().mean()
        return {"loss": F.binary_cross_entropy_with_logits(scores, truths), "accuracy": right}


def expressions(n, depth, seed):
    """(expression, its truth), half of them true."""
    choose = random.Random(seed)
    found = []
    while len(found) < n:
        text = expression(choose, depth)
        truth = eval(text)
        if truth == (len(found) % 2 == 0):
            found.append((text, truth))
    return found


def expression(choose, depth, outermost=True):
    if depth == 0 or (not outermost and choose.random() < 0.2):
        return choose.choice(["True", "False"])
    left, right = (expression(choose, depth - 1, False) for _ in range(2))
    text = choose.choice([f"not {left}", f"{left} and {right}", f"{left} or {right}", f"{left} != {right}"])
    return text if outermost else f"({text})"


@torch.no_grad()
def show(model, job):
    model.eval()
    print("\ndepth of the tree   judged rightly")
    for depth in range(1, job.depth + 4):
        judged = [(model(text).item() > 0) == truth for text, truth in expressions(100, depth, seed=3)]
        print(f"{depth:>17}   {sum(judged):>3} of 100" + ("   (not seen in training)" * (depth > job.depth)))
    print()
    for text, truth in expressions(6, 3, seed=4):
        print(f"{torch.sigmoid(model(text)).item():7.1%} true: {text}    {'' if truth else '(it is not)'}")


if __name__ == "__main__":
    show(torch.run(Truth).model, Truth())
