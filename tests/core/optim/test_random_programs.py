"""Random programs that do to parameters and optimizers what may be done to them, under both libraries: every value the same."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch as real

import gradwire as torch

SHAPES = [(2, 3), (4,), (), (3, 1, 2), (5,), (1, 4)]
KINDS = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {"lr": 0.05}), ("AdamW", {"lr": 0.05, "amsgrad": True}),
    ("NAdam", {"lr": 0.05}), ("RMSprop", {"lr": 0.01, "momentum": 0.5}), ("Adagrad", {"lr": 0.1}), ("ASGD", {"lr": 0.05, "t0": 3}),
]  # fmt: skip


class Program:
    """One run in one library; every decision comes from `dice`, which both runs throw alike."""

    def __init__(self, t, seed):
        self.t, self.dice = t, random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.ps = [self.tensor(s).requires_grad_() for s in SHAPES]
        self.aliases, self.path = [], []
        self.kind = self.dice.choice(KINDS)
        self.optimizers = [self.made(self.ps[:4])]

    def tensor(self, shape):
        return self.t.tensor(self.numbers.standard_normal(shape))

    def made(self, params):
        name, options = self.kind
        return getattr(self.t.optim, name)(params, **options)

    def run(self, length):
        actions = [self.step] * 6 + [
            self.alias, self.alias_part, self.forget, self.write_alias, self.write_parameter, self.assign, self.share, self.freeze,
            self.another, self.replace, self.grow, self.reload, self.reset, self.options, self.view_in_graph, self.copied,
        ]  # fmt: skip
        for _ in range(length):
            action = self.dice.choice(actions)
            action()
            self.path.append((action.__name__, self.seen()))
        return self.path

    def seen(self):
        tensors = [*self.ps, *self.aliases]
        return np.concatenate([x.detach().numpy().reshape(-1).copy() for x in tensors])

    def any_parameter(self):
        return self.dice.choice(self.ps)

    def step(self):
        o = self.dice.choice(self.optimizers)
        for _ in range(self.dice.choice([1, 1, 2, 5])):
            skipped = self.dice.randrange(12)
            for i, p in enumerate(self.ps):
                g = self.tensor(tuple(p.shape))
                p.grad = None if i == skipped or not p.requires_grad else g
            o.step()

    def alias(self):
        self.aliases.append(self.any_parameter().detach())

    def alias_part(self):
        p = self.any_parameter()
        self.aliases.append(p.data.reshape(-1)[self.dice.randrange(p.numel()) :])

    def forget(self):
        if self.aliases:
            del self.aliases[self.dice.randrange(len(self.aliases))]

    def write_alias(self):
        if self.aliases:
            with self.t.no_grad():
                self.dice.choice(self.aliases).mul_(0.5)

    def write_parameter(self):
        with self.t.no_grad():
            self.any_parameter().clamp_(-1, 1)

    def assign(self):
        p = self.any_parameter()
        p.data = self.tensor(tuple(p.shape)) if self.dice.random() < 0.5 else p.data * 0.5

    def share(self):
        p = self.any_parameter()
        twin = p.detach().requires_grad_()
        self.ps.append(twin)
        if self.dice.random() < 0.5:
            self.dice.choice(self.optimizers).add_param_group({"params": [twin]})

    def freeze(self):
        p = self.any_parameter()
        p.requires_grad_(not p.requires_grad)

    def another(self):
        self.optimizers.append(self.made(self.dice.sample(self.ps, 3)))

    def replace(self):
        self.optimizers = [self.made(self.ps)]

    def grow(self):
        o = self.dice.choice(self.optimizers)
        held = {id(p) for g in o.param_groups for p in g["params"]}
        new = [p for p in self.ps if id(p) not in held]
        if new:
            o.add_param_group({"params": new, "lr": 0.02})

    def reload(self):
        o = self.dice.choice(self.optimizers)
        o.load_state_dict(copy.deepcopy(o.state_dict()))

    def reset(self):
        o = self.dice.choice(self.optimizers)
        if self.kind[0] != "Adagrad":  # whose state is only made with the optimizer
            o.state.pop(o.param_groups[0]["params"][0], None)

    def options(self):
        for g in self.dice.choice(self.optimizers).param_groups:
            g["lr"] *= 0.9
            g["weight_decay"] = 0.1
            if self.kind[0] == "SGD":
                g["momentum"] = self.dice.choice([0, 0.5])

    def view_in_graph(self):
        p = self.any_parameter()
        self.aliases.append(p.reshape(-1) if self.dice.random() < 0.5 else p.view(-1).detach())

    def copied(self):
        ps, optimizers = copy.deepcopy((self.ps, self.optimizers))
        self.ps, self.optimizers = ps, optimizers


@pytest.mark.parametrize("seed", range(60))
def test_a_random_program_ends_as_in_torch(seed):
    ours, theirs = Program(torch, seed).run(25), Program(real, seed).run(25)
    for i, ((name, a), (other, b)) in enumerate(zip(ours, theirs, strict=True)):
        assert name == other
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8, err_msg=f"after action {i}, {name}")
