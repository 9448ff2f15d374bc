"""In-place operations: the right gradient, or an error, and never a wrong gradient silently."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

import gradwire as torch

MODIFIED = "modified by an inplace operation"


def leaf(t, *values):
    return t.tensor(list(values), dtype=t.float64, requires_grad=True)


def x2():
    return leaf(torch, 1.0, 2.0)


def overwrite(b):
    b[0] = 5.0


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.add_(1),
        lambda b: b.zero_(),
        lambda b: b.detach().mul_(2),
        lambda b: b.data.mul_(2),
        lambda b: b.reshape(2, 1)[0].fill_(3),
        lambda b: b[1:].copy_(torch.ones(1, dtype=torch.float64)),
        overwrite,
    ],
)
def test_changing_a_saved_input_is_an_error_in_backward(change):
    x, b = x2(), torch.ones(2, dtype=torch.float64)
    y = (x * b).sum()
    change(b)
    with pytest.raises(RuntimeError, match=MODIFIED):
        y.backward()


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "sqrt"])
def test_changing_a_saved_output_is_an_error_in_backward(name):
    y = getattr(x2(), name)()
    y.detach().add_(1)
    with pytest.raises(RuntimeError, match=MODIFIED):
        y.sum().backward()


def test_changing_what_backward_does_not_need_is_fine():
    x, b = x2(), torch.ones(2, dtype=torch.float64)
    y = (x + b).sum()
    b.zero_()
    y.backward()
    assert x.grad.tolist() == [1, 1]


def test_a_change_before_the_operation_does_not_count():
    x, b = x2(), torch.ones(2, dtype=torch.float64)
    b.mul_(3)
    (x * b).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_change_through_another_tensor_over_the_same_numpy_array_is_found():
    raw = np.ones(2)
    a, b, x = torch.from_numpy(raw), torch.from_numpy(raw[::1]), x2()
    y = (x * a).sum()
    b.add_(1)
    with pytest.raises(RuntimeError, match=MODIFIED):
        y.backward()


def test_an_optimizer_step_between_forward_and_backward_is_found():
    w, x = x2(), x2()
    optimizer = torch.optim.SGD([w], lr=0.1)
    y = (w * x).sum()
    y.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match=MODIFIED):
        y.backward()


def test_the_version_counts_writes_and_is_shared_with_views():
    b = torch.ones(2)
    assert b._version == 0
    b.add_(1)
    b.detach().mul_(2)
    b[0] = 1
    assert b._version == b[1:]._version == 3


def test_writing_to_a_leaf_that_requires_grad_is_refused():
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
        x2().add_(1)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad is being used"):
        x2()[0].add_(1)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        overwrite(x2())


def test_a_leaf_may_be_written_under_no_grad_and_stays_a_leaf():
    x = x2()
    with torch.no_grad():
        x.mul_(3)
        x -= 1
    assert x.tolist() == [2, 5] and x.is_leaf and x.requires_grad


def _chain(t, x):
    y = x * 2
    y.mul_(x)
    y.add_(1)
    return y


def _into_constant(t, x):
    y = t.zeros(2, dtype=t.float64)
    y.copy_(x)
    y += x * x
    return y


def _set_rows(t, x):
    y = x * 1
    y[0] = x[1] * 3
    return y * y


def _set_a_number(t, x):
    y = x * x
    y[0] = 4.0
    return y * 2


def _fill(t, x):
    y = x * x
    y.zero_()
    return y + x


def _operator(t, x):
    y = x + 0
    y /= x + 1
    y **= 2
    return y


def _masked(t, x):
    y = x * 3
    y.masked_fill_(x > 1.5, 0.0)
    return y * x


def _saved_output(t, x):
    y = x + 0
    y.tanh_()
    return y * x


def _relu(t, x):
    y = x - 1.5
    y.relu_()
    return y * 4


def _used_before(t, x):
    y = x + 1
    before = y + 5
    y.mul_(x)
    return before + y


CASES = [
    _chain, _into_constant, _set_rows, _set_a_number, _fill, _operator, _masked, _saved_output, _relu,
    _used_before,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__.strip("_"))
def test_a_recorded_write_to_a_result_has_torchs_value_and_gradient(case):
    def both(t):
        x = leaf(t, 1.25, 2.0)
        y = case(t, x)
        y.sum().backward()
        return y.tolist(), x.grad.tolist()

    np.testing.assert_allclose(both(torch), both(real), rtol=1e-12)


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_multiplying_a_result_by_itself_in_place_is_an_error_as_in_torch(t):
    y = leaf(t, 1.25, 2.0) * 1
    y.mul_(y)
    with pytest.raises(RuntimeError, match=MODIFIED):
        y.sum().backward()


# Views: either torch's gradient or an error


def _write_base_read_view(t, x):
    y = x * 1
    v = y[:1]
    y.mul_(x)
    return v.sum() + y.sum()


def _write_view_read_base(t, x):
    y = x * 1
    y[:1].mul_(5)
    return y.sum()


def _write_view_of_reshape(t, x):
    y = x * 1
    y.reshape(2, 1).mul_(x.reshape(2, 1))
    return (y * y).sum()


def _write_detached_constant_through_view(t, x):
    y = t.zeros(2, dtype=t.float64)
    y[1:].add_(x[:1])
    return y.sum() * 1.0


def _setitem_through_view(t, x):
    y = x * 1
    y.view(2)[0] = x[1]
    return y.sum()


def _view_taken_before_setitem(t, x):
    y = t.zeros(2, dtype=t.float64)
    v = y[0]
    y[0] = x[1]
    return v * 3 + y.sum()


def _row_view_written_twice(t, x):
    y = x.reshape(1, 2) * 1
    row = y[0]
    row.mul_(2)
    row.mul_(x)
    return row.sum()


def _zero_view_read_base(t, x):
    y = x * 1
    y[:1].zero_()
    return y.sum()


def _zero_base_read_view(t, x):
    y = x * 1
    v = y[:1]
    y.zero_()
    return v.sum() + x.sum()


def _write_base_then_view(t, x):
    y = x * 1
    v = y[:1]
    y.mul_(x)
    v.mul_(2)
    return v.sum()


def _constant_view_joined_with_another(t, x):
    y = t.zeros(2, dtype=t.float64)
    y.reshape(2, 1).copy_(x.reshape(2, 1))
    return y.sum() + x.sum()


VIEWS = [
    _zero_view_read_base, _zero_base_read_view, _write_base_then_view, _constant_view_joined_with_another,
    _write_base_read_view, _write_view_read_base, _write_view_of_reshape, _write_detached_constant_through_view,
    _setitem_through_view, _view_taken_before_setitem, _row_view_written_twice,
]  # fmt: skip


@pytest.mark.parametrize("case", VIEWS, ids=lambda f: f.__name__.strip("_"))
def test_a_recorded_write_through_a_view_is_right_or_refused(case):
    x, expected = leaf(torch, 1.25, 2.0), leaf(real, 1.25, 2.0)
    case(real, expected).backward()
    try:
        case(torch, x).backward()
    except RuntimeError as e:
        assert any(words in str(e) for words in ("shares its storage", MODIFIED, "not supported yet"))
    else:
        np.testing.assert_allclose(x.grad.tolist(), expected.grad.tolist(), rtol=1e-12)


def test_backward_straight_from_a_view_taken_before_a_write_is_right():
    x = x2()
    y = x * 1
    v = y.reshape(1, 2)
    y.mul_(3)
    v.backward(torch.ones(1, 2, dtype=torch.float64))
    assert x.grad.tolist() == [3, 3]


def test_a_detached_view_of_a_written_result_stays_usable():
    x = x2()
    h = torch.zeros(2, dtype=torch.float64)
    early = h.detach()
    h += x * 3
    late = h.detach()
    ((x * late)[:1] + x[:1] * late[:1] + late[1:].sum() + early[:1] * 2 + h[:1]).sum().backward()
    assert x.grad.tolist() == [3 + 3 + 3, 0]


def test_an_element_and_an_iterated_element_are_views():
    b = torch.zeros(3)
    b[1].add_(5)
    next(iter(b)).fill_(7)
    assert b.tolist() == [7, 5, 0]


def test_a_write_to_an_expanded_tensor_is_refused():
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        torch.ones(1).expand(3).add_(1)


def test_a_result_of_another_shape_or_kind_does_not_fit_in_place():
    with pytest.raises(
        RuntimeError, match=r"output with shape \[2\] doesn't match the broadcast shape \[3, 2\]"
    ):
        torch.ones(2).add_(torch.ones(3, 2))
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        torch.arange(2).mul_(0.5)


def test_an_in_place_operation_returns_the_tensor_itself():
    b = torch.ones(2)
    c = b
    c += 1
    assert b.add_(1) is b and c is b and b.tolist() == [3, 3]


# Found by random programs


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_a_copy_has_a_place_in_the_graph_of_its_own(t):
    x = leaf(t, 1.25, 2.0)
    source = x * 2
    target = t.zeros(2, dtype=t.float64)
    target.copy_(source)
    seen = []
    target.register_hook(lambda g: seen.append(g.tolist()))
    loss = target.sum() + 3 * source.sum()
    (alone,) = t.autograd.grad(loss, target, retain_graph=True)
    assert alone.tolist() == [1, 1] and seen == [[1, 1]]
    loss.backward()
    assert x.grad.tolist() == [8, 8]


def test_a_saved_tensor_that_is_detached_keeps_its_second_derivative():
    x = leaf(torch, 1.25, 2.0)
    h = x * x
    y = (h * h).sum()
    h.detach_()
    (first,) = torch.autograd.grad(y, x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(first.detach().numpy(), 4 * np.array([1.25, 2.0]) ** 3)
    np.testing.assert_allclose(second.numpy(), 12 * np.array([1.25, 2.0]) ** 2)


def test_what_a_function_saved_keeps_its_second_derivative_when_it_is_detached():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.save_for_backward(a)
            return a * a

        @staticmethod
        def backward(ctx, g):
            (a,) = ctx.saved_tensors
            return g * a * 2

    x = leaf(torch, 1.25, 2.0)
    h = x * x
    y = Square.apply(h).sum()
    h.detach_()
    (first,) = torch.autograd.grad(y, x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(second.numpy(), 12 * np.array([1.25, 2.0]) ** 2)


def test_a_view_follows_its_base_out_of_the_graph_when_that_is_written():
    for t in (torch, real):
        x = leaf(t, 1.25, 2.0)
        base = x * 2
        view = base[:1]
        base.detach_()
        base.mul_(3)
        assert not base.requires_grad
        total = view.sum() * 2 + x.sum()
        (g,) = t.autograd.grad(total, x)
        assert g.tolist() == [1, 1]


def test_joined_tensors_are_contiguous_whatever_their_parts_are():
    for t in (torch, real):
        part = t.ones(2, 3).T
        assert t.cat([part, part], 1).view(12).shape == t.stack([part, part]).view(12).shape == (12,)


def test_gradients_of_no_inputs_are_refused():
    for t in (torch, real):
        x = leaf(t, 1.0)
        with pytest.raises(RuntimeError, match="`inputs` argument to `grad\\(\\)` cannot be empty"):
            t.autograd.grad((x * 2).sum(), [])


def test_windows_that_overlap_are_not_written_and_those_that_do_not_are(device):
    x = torch.arange(6.0, device=device)
    with pytest.raises(
        RuntimeError, match="more than one element of the written-to tensor refers to a single memory"
    ):
        x.unfold(0, 3, 1).add_(1)
    with pytest.raises(RuntimeError, match="more than one element"):
        x.as_strided((3, 3), (1, 1)).fill_(1)
    x.unfold(0, 2, 2).add_(1)
    x.as_strided((2, 3), (1, 2)).mul_(2)
    assert x.tolist() == [2, 4, 6, 8, 10, 12]


def _retained(t, case):
    x = leaf(t, 1.25, 2.0)
    y = x * 1
    if case == "the tensor":
        y.retain_grad()
        y.mul_(3)
    elif case == "through a view":
        y.retain_grad()
        y[:1].mul_(3)
    elif case == "a view":
        kept = y[:1]
        kept.retain_grad()
        y.mul_(3)
        ((y * y).sum() + (kept * 5).sum()).backward()
        return kept.grad.tolist()
    elif case == "by name":
        y.retain_grad()
        (y * y).sum().backward(inputs=[y])
        return y.grad.tolist()
    else:
        y.retain_grad()
        y = y.t_()
    (y * y).sum().backward()
    return y.grad.tolist(), x.grad.tolist()


@pytest.mark.parametrize("case", ["the tensor", "through a view", "a view", "by name", "another shape"])
def test_a_retained_gradient_is_that_of_the_tensor_as_it_is_now(case):
    assert _retained(torch, case) == _retained(real, case)
