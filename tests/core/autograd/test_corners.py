"""What hooks, custom functions and the attributes of tensors do in corners, beside PyTorch."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch as theirs

import gradwire as ours

CASES = {}


def case(name):
    def enter(function):
        CASES[name] = function

    return enter


def leaf(t, *values):
    return t.tensor(list(values), dtype=t.float64, requires_grad=True)


def outcome(t, function):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = function(t)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as e:
        return type(e).__name__, str(e)[:50]
    return found.tolist() if isinstance(found, t.Tensor) else found


@case("grad mode in hook")
def _(t):
    x = leaf(t, 1.0)
    y = x * 2
    s = []
    y.register_hook(lambda g: s.append((t.is_grad_enabled(), g.requires_grad)))
    y.sum().backward(retain_graph=True)
    y.sum().backward(create_graph=True)
    return s


@case("grad in hook")
def _(t):
    x = leaf(t, 2.0)
    y = x * x
    s = []

    def h(g):
        with t.enable_grad():
            z = (x * x * x).sum()
            s.append(t.autograd.grad(z, x)[0].item())

    y.register_hook(h)
    y.sum().backward()
    return s, x.grad.tolist()


@case("backward in hook")
def _(t):
    x = leaf(t, 2.0)
    y = x * x

    def h(g):
        with t.enable_grad():
            (x * 3).sum().backward()

    y.register_hook(h)
    y.sum().backward()
    return x.grad.tolist()


@case("hook raises")
def _(t):
    x = leaf(t, 2.0)
    y = x * x

    def h(g):
        raise ValueError("boo")

    y.register_hook(h)
    try:
        y.sum().backward()
    except ValueError as e:
        return str(e), t.is_grad_enabled(), x.grad


@case("hook removes itself")
def _(t):
    x = leaf(t, 2.0)
    s = []
    hd = x.register_hook(lambda g: (s.append(1), hd.remove())[1])
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    return s


@case("hook adds hook")
def _(t):
    x = leaf(t, 2.0)
    s = []
    x.register_hook(lambda g: (s.append(1), x.register_hook(lambda g: s.append(2)))[0])
    (x * 2).sum().backward()
    a = list(s)
    (x * 2).sum().backward()
    return a, s


@case("hook returns scalar")
def _(t):
    x = leaf(t, 2.0)
    x.register_hook(lambda g: 2.0)
    (x * 2).sum().backward()
    return x.grad


@case("post acc order")
def _(t):
    x = leaf(t, 2.0)
    s = []
    x.register_hook(lambda g: s.append("h"))
    x.register_post_accumulate_grad_hook(lambda p: s.append(("p", p.grad.tolist())))
    (x * 2).sum().backward()
    return s


@case("post acc clears grad")
def _(t):
    x = leaf(t, 2.0)

    def h(p):
        p.grad = None

    x.register_post_accumulate_grad_hook(h)
    (x * 2).sum().backward()
    return x.grad


@case("kwargs to apply")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, k=1):
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g, None

    return A.apply(leaf(t, 1.0), k=2)


@case("instance call")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

    return A()(leaf(t, 1.0))


@case("needs_input_grad in no_grad")
def _(t):
    s = []

    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            s.append((ctx.needs_input_grad, t.is_grad_enabled()))
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    with t.no_grad():
        A.apply(leaf(t, 1.0))
    A.apply(leaf(t, 1.0))
    return s


@case("None for needed")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return None

    x = leaf(t, 1.0)
    A.apply(x).sum().backward()
    return x.grad


@case("extra None")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g, None, None

    x = leaf(t, 1.0)
    A.apply(x).sum().backward()
    return x.grad.tolist()


@case("broadcastable grad")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return t.ones(4, 2, dtype=t.float64)

    x = leaf(t, 1.0, 2.0)
    A.apply(x).sum().backward()
    return x.grad.tolist()


@case("grad other dtype")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g.float()

    x = leaf(t, 1.0, 2.0)
    A.apply(x).sum().backward()
    return str(x.grad.dtype)


@case("list output")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return [x * 2, x * 3]

        @staticmethod
        def backward(ctx, g, h):
            return g * 2 + h * 3

    o = A.apply(leaf(t, 1.0, 2.0))
    return type(o).__name__, [r.requires_grad for r in o]


@case("mixed outputs")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, 5, None, "a"

        @staticmethod
        def backward(ctx, g, *r):
            return g * 2

    o = A.apply(leaf(t, 1.0, 2.0))
    o[0].sum().backward()
    return [type(r).__name__ for r in o]


@case("int output")
def _(t):
    s = []

    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x.long()

        @staticmethod
        def backward(ctx, g, h):
            s.append(str(h.dtype) if h is not None else None)
            return g * 2

    o = A.apply(leaf(t, 1.0, 2.0))
    o[0].sum().backward()
    return [r.requires_grad for r in o], s


@case("save twice")
def _(t):
    s = []

    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_backward(x, x * 2)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            s.append(len(ctx.saved_tensors))
            return g

    A.apply(leaf(t, 1.0)).sum().backward()
    return s


@case("saved None")
def _(t):
    s = []

    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(None, x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            s.append([s is None for s in ctx.saved_tensors])
            return g

    A.apply(leaf(t, 1.0)).sum().backward()
    return s


@case("mark dirty not returned")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(t, 1.0) * 1
    return A.apply(x)


@case("dirty leaf")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    return A.apply(leaf(t, 1.0))


@case("non diff float")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            a, b = x * 2, x * 3
            ctx.mark_non_differentiable(b)
            return a, b

        @staticmethod
        def backward(ctx, g, h):
            return g * 2 + h.sum()

    a, b = A.apply(leaf(t, 1.0, 2.0))
    a.sum().backward()
    return b.requires_grad, b.is_leaf


@case("backward raises")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise KeyError("x")

    try:
        A.apply(leaf(t, 1.0)).sum().backward()
    except KeyError as e:
        return repr(e), t.is_grad_enabled()


@case("vjp name")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def vjp(ctx, g):
            return g * 7

    x = leaf(t, 1.0)
    A.apply(x).sum().backward()
    return x.grad.tolist()


@case("saved_tensors later")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    y = A.apply(leaf(t, 1.0))
    a = y.grad_fn.saved_tensors[0].tolist()
    y.sum().backward()
    try:
        list(y.grad_fn.saved_tensors)
    except RuntimeError as e:
        return a, str(e)[:40]


@case("needs_input_grad attr, name, next")
def _(t):
    class A(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g, None

    y = A.apply(leaf(t, 1.0), 3)
    return (
        y.grad_fn.name(),
        y.grad_fn.needs_input_grad,
        len(y.grad_fn.next_functions),
        type(y.grad_fn).__name__,
    )


@case("create_graph grad has graph, warns")
def _(t):
    x = leaf(t, 2.0)
    (x**3).sum().backward(create_graph=True)
    g = x.grad
    r = g.requires_grad
    x.grad = None
    return r


@case("grad accumulate with graph")
def _(t):
    x = leaf(t, 2.0)
    (x**3).sum().backward(create_graph=True)
    (x**2).sum().backward()
    r = x.grad.requires_grad, x.grad.tolist()
    x.grad = None
    return r


@case("grad identity after accumulate")
def _(t):
    x = leaf(t, 2.0)
    (x * 2).sum().backward()
    g = x.grad
    (x * 2).sum().backward()
    return g is x.grad, g.tolist()


@case("backward scalar int grad")
def _(t):
    x = leaf(t, 2.0)
    (x * 2).backward(t.tensor([3]))
    return x.grad.tolist()


@case("backward float32 grad")
def _(t):
    x = leaf(t, 2.0)
    (x * 2).backward(t.tensor([3.0]))
    return x.grad.tolist(), str(x.grad.dtype)


@case("bool grad out")
def _(t):
    x = leaf(t, 2.0)
    return t.autograd.grad(x * 2, x, t.tensor([True]))[0].tolist()


@case("leaf view backward")
def _(t):
    x = leaf(t, 2.0, 3.0)
    v = x[0]
    v.backward()
    return x.grad.tolist()


@case("requires_grad_ str")
def _(t):
    return t.tensor([1.0]).requires_grad_("a")


@case("set requires_grad nonleaf false")
def _(t):
    y = leaf(t, 1.0) * 2
    y.requires_grad = False


@case("set requires_grad nonleaf true")
def _(t):
    y = leaf(t, 1.0) * 2
    y.requires_grad = True
    return y.requires_grad


@case("grad setter")
def _(t):
    x = leaf(t, 1.0)
    x.grad = t.ones(1, dtype=t.float64)
    (x * 2).sum().backward()
    return x.grad.tolist()


@case("del grad")
def _(t):
    x = leaf(t, 1.0)
    (x * 2).sum().backward()
    del x.grad
    return x.grad


@case("deepcopy nonleaf")
def _(t):
    return copy.deepcopy(leaf(t, 1.0) * 2)


@case("numpy on grad")
def _(t):
    return (leaf(t, 1.0) * 2).numpy()


@case("bool of several")
def _(t):
    return bool(leaf(t, 1.0, 2.0))


@case("retain on no grad")
def _(t):
    t.ones(1).retain_grad()


@case("is_leaf mix")
def _(t):
    x = leaf(t, 1.0)
    return x.is_leaf, (x * 2).is_leaf, (x.detach() * 2).is_leaf, x.detach().is_leaf


@case("unused freed graph message")
def _(t):
    x = leaf(t, 1.0)
    y = (x * x).sum()
    y.backward()
    y.backward()


@case("version")
def _(t):
    x = t.zeros(3)
    v = x[0:1]
    a = x._version
    x.add_(1)
    v.mul_(2)
    x[0] = 1
    x.detach().add_(1)
    return a, x._version, v._version


@case("no_grad inplace leaf")
def _(t):
    x = leaf(t, 1.0)
    with t.no_grad():
        x.add_(1)
        x[0] = 5
    return x.tolist(), x.requires_grad, x.is_leaf


@case("saved modified by no_grad write")
def _(t):
    x = leaf(t, 1.0)
    y = x.exp()
    z = y * y
    with t.no_grad():
        y.add_(1)
    z.sum().backward()


@case("detach shares version")
def _(t):
    x = leaf(t, 1.0)
    y = x.exp()
    y.detach().add_(1)
    y.sum().backward()
    return x.grad.tolist()


@case("acc node hooks")
def _(t):
    x = leaf(t, 1.0)
    s = []
    n = t.autograd.graph.get_gradient_edge(x).node
    n.register_hook(lambda i, o: s.append((len(i), o[0].tolist())))
    n.register_prehook(lambda g: s.append(g[0].tolist()))
    (x * 2).sum().backward()
    return s


@case("multi grad all")
def _(t):
    x = leaf(t, 1.0)
    a, b, c = x * 2, x * 3, x * 4
    s = []
    t.autograd.graph.register_multi_grad_hook(
        [a, b, c], lambda gs: s.append([None if g is None else g.tolist() for g in gs])
    )
    (a + b).sum().backward()
    return s


@case("multi grad any")
def _(t):
    x = leaf(t, 1.0)
    a, b = x * 2, x * 3
    s = []
    t.autograd.graph.register_multi_grad_hook([a, b], lambda g: s.append(g.tolist()), mode="any")
    (a + b).sum().backward()
    return s


@case("saved hooks unpack wrong")
def _(t):
    x = leaf(t, 2.0)
    with t.autograd.graph.saved_tensors_hooks(lambda s_: s_, lambda s_: 3):
        y = x.exp()
    y.sum().backward()


@case("saved hooks in place in pack")
def _(t):
    x = leaf(t, 2.0)
    with t.autograd.graph.saved_tensors_hooks(lambda s_: s_.mul_(2), lambda s_: s_):
        y = (x * 1).exp()
    y.sum().backward()
    return x.grad.tolist()


@case("disable hooks")
def _(t):
    g = t.autograd.graph
    with g.disable_saved_tensors_hooks("no!"), g.saved_tensors_hooks(lambda s_: s_, lambda s_: s_):
        pass


@case("anomaly nan2")
def _(t):
    x = leaf(t, -1.0)
    with t.autograd.detect_anomaly():
        y = x.sqrt().sum()
        y.backward()


@case("grad non tensor input")
def _(t):
    return t.autograd.grad(leaf(t, 1.0).sum(), [3])


@case("backward inputs nonleaf")
def _(t):
    x = leaf(t, 1.0)
    y = x * 2
    (y * 3).sum().backward(inputs=[y])
    return y.grad.tolist(), x.grad


@case("retain graph grad then backward")
def _(t):
    x = leaf(t, 2.0)
    y = (x * x).sum()
    t.autograd.grad(y, x)
    y.backward()


@case("create graph keeps")
def _(t):
    x = leaf(t, 2.0)
    y = (x * x).sum()
    t.autograd.grad(y, x, create_graph=True)
    y.backward()
    return x.grad.tolist()


@case("create graph retain False")
def _(t):
    x = leaf(t, 2.0)
    y = (x * x).sum()
    t.autograd.grad(y, x, create_graph=True, retain_graph=False)
    y.backward()
    return x.grad.tolist()


@case("grad of grad mixed")
def _(t):
    x = leaf(t, 2.0)
    w = leaf(t, 3.0)
    y = (w * x**2).sum()
    (g,) = t.autograd.grad(y, x, create_graph=True)
    return [a.tolist() for a in t.autograd.grad(g.sum(), [x, w])]


@case("no_grad class")
def _(t):
    @t.no_grad()
    class A:
        def __init__(self):
            self.e = t.is_grad_enabled()

    return A().e


@case("data set")
def _(t):
    x = leaf(t, 1.0)
    x.data = t.tensor([5.0, 6.0], dtype=t.float64)
    (x * 2).sum().backward()
    return x.tolist(), x.grad.tolist()


@case("swap leaf flags")
def _(t):
    x = leaf(t, 1.0)
    y = x * 2
    x.requires_grad_(False)
    y.sum().backward()
    return x.grad


@case("grad is not aliased")
def _(t):
    x = leaf(t, 1.0, 2.0)
    g = t.ones(2, dtype=t.float64)
    x.backward(g)
    x.grad.mul_(5)
    return g.tolist()


@case("expand grad")
def _(t):
    x = leaf(t, 1.0, 2.0)
    (x.sum()).backward()
    x.grad[0] = 7
    return x.grad.tolist()


@case("hook on leaf w grad()")
def _(t):
    x = leaf(t, 1.0)
    s = []
    x.register_hook(lambda g: s.append(1))
    t.autograd.grad((x * 2).sum(), x)
    return s


@case("post hook with grad()")
def _(t):
    x = leaf(t, 1.0)
    s = []
    x.register_post_accumulate_grad_hook(lambda s_: s.append(1))
    t.autograd.grad((x * 2).sum(), x)
    return s


@case("grad fn none under no_grad inplace")
def _(t):
    x = leaf(t, 1.0)
    y = x * 2
    with t.no_grad():
        y.mul_(3)
    y.sum().backward()
    return x.grad.tolist(), y.tolist()


@case("register hook on no grad")
def _(t):
    t.ones(1).register_hook(print)


@case("post on nonleaf")
def _(t):
    (leaf(t, 1.0) * 2).register_post_accumulate_grad_hook(print)


@pytest.mark.parametrize("name", list(CASES))
def test_it_is_as_in_pytorch(name):
    assert outcome(ours, CASES[name]) == outcome(theirs, CASES[name])
