"""A net built anew along each sample's own tree: depth and parameters in use differ from shard to shard and step to step."""

import random

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F


class Judge(nn.Module):
    """The state of a tree is made from the states below it, by a net of its operator; `rare` joins large trees alone."""

    def __init__(self, width=8):
        super().__init__()
        self.leaves = nn.Embedding(2, width)
        self.operators = nn.ModuleDict(
            {
                "and": nn.Linear(2 * width, width),
                "or": nn.Linear(2 * width, width),
                "not": nn.Linear(width, width),
            }
        )
        self.rare = nn.Linear(width, width)
        self.last = nn.Linear(width, 1)

    def state(self, tree):
        if isinstance(tree, bool):
            return self.leaves.weight[int(tree)]
        operator, *below = tree
        return self.operators[operator](torch.cat([self.state(t) for t in below])).tanh()

    def forward(self, tree):
        state = self.state(tree)
        if size(tree) > 6:
            state = state + self.rare(state)
        return self.last(state)[0]


def size(tree):
    """How many operators it has."""
    return 0 if isinstance(tree, bool) else 1 + sum(size(t) for t in tree[1:])


def truth(tree):
    match tree:
        case ("and", left, right):
            return truth(left) and truth(right)
        case ("or", left, right):
            return truth(left) or truth(right)
        case ("not", inner):
            return not truth(inner)
    return tree


def grown(choose, most):
    if most == 0 or choose.random() < 0.35:
        return choose.random() < 0.5
    operator = choose.choice(["and", "or", "not"])
    return (operator, *(grown(choose, most - 1) for _ in range(1 if operator == "not" else 2)))


class Branches(Job):
    epochs = 3
    batch_size = 16
    lr = 0.02

    def model(self):
        return Judge()

    def train_data(self):
        return [grown(random, 4) for _ in range(35)]  # 16 + 16 + 3: fewer than the shards

    def collate(self, samples):
        return samples, torch.tensor([float(truth(tree)) for tree in samples])

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=self.lr, weight_decay=0.01)

    def loss(self, model, batch):
        trees, truths = batch
        return F.binary_cross_entropy_with_logits(torch.stack([model(tree) for tree in trees]), truths)
