"""A sine fitted by a Legendre polynomial, and digits by hard signs, through functions with derivatives of their own."""

import math


def program(torch, data):
    class LegendreCubed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 0.5 * (5 * x**3 - 3 * x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 1.5 * (5 * x**2 - 1)

    class Sign(torch.autograd.Function):
        """The sign, whose gradient passes through where the input is within one of zero."""

        @staticmethod
        def forward(ctx, x, width):
            ctx.save_for_backward(x)
            ctx.width = width
            return torch.where(x >= 0, 1.0, -1.0)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, False)
            return g * (x.abs() <= ctx.width), None

    F = torch.nn.functional
    x = torch.linspace(-math.pi, math.pi, 200)
    y = torch.sin(x)
    a, b, c, d = (torch.full((), value, requires_grad=True) for value in (0.0, -1.0, 0.0, 0.3))
    images, labels = data.digits(128)
    inner = data.start(torch.nn.Linear(64, 24))
    outer = data.start(torch.nn.Linear(24, 10))
    optimizer = torch.optim.Adamax([*inner.parameters(), *outer.parameters()], lr=0.02)
    while True:
        loss = (a + b * LegendreCubed.apply(c + d * x) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for p in (a, b, c, d):
                p -= 5e-5 * p.grad
                p.grad = None
        yield loss.item()

        optimizer.zero_grad()
        loss = F.cross_entropy(outer(Sign.apply(inner(images.flatten(1)), 1.0)), labels)
        loss.backward()
        optimizer.step()
        yield loss.item()
