"""Views that functions give: they share storage, in value and in gradient through in-place writes, as PyTorch's do."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

import gradwire

VIEWS = {
    "view": lambda x: x.view(4, 3), "reshape": lambda x: x.reshape(-1), "permute": lambda x: x.permute(1, 0), "t": lambda x: x.t(),
    "transpose": lambda x: x.transpose(0, 1), "mT": lambda x: x.mT, "mH": lambda x: x.mH, "H": lambda x: x.H, "T": lambda x: x.T,
    "adjoint": lambda x: x.adjoint(), "movedim": lambda x: x.movedim(0, 1), "swapaxes": lambda x: x.swapaxes(0, 1),
    "flatten": lambda x: x.flatten(), "unflatten": lambda x: x.unflatten(1, (2, 2)), "ravel": lambda x: x.ravel(),
    "squeeze": lambda x: x[:1].squeeze(0), "unsqueeze": lambda x: x.unsqueeze(1), "narrow": lambda x: x.narrow(1, 1, 2),
    "select": lambda x: x.select(1, 2), "split": lambda x: x.split(2)[0], "tensor_split": lambda x: x.tensor_split(2, 1)[1],
    "hsplit": lambda x: x.hsplit(2)[0], "chunk": lambda x: x.chunk(2, 1)[1], "unbind": lambda x: x.unbind(1)[0],
    "diagonal": lambda x: x.diagonal(), "diagonal-offset": lambda x: x.diagonal(1), "diagonal-of-a-view": lambda x: x.t()[1:].diagonal(-1),
    "unfold": lambda x: x.unfold(1, 2, 2), "unfold-of-a-view": lambda x: x.t().unfold(0, 2, 2), "as_strided": lambda x: x.as_strided((2, 2), (4, 2), 1),
    "as_strided-of-a-view": lambda x: x[1:].as_strided((2, 2), (4, 1)), "expand-part": lambda x: x.unsqueeze(0).expand(2, 3, 4)[0],
    "view_as": lambda x: x.view_as(x), "atleast_3d": lambda x: type(x).unsqueeze(x, 2), "item": lambda x: x[1, 2], "none": lambda x: x[None, ..., 1:3],
}  # fmt: skip


def _written(lib, view, device):
    """A view of a tensor in a graph is written in place, by a number and by a tensor that requires grad."""
    leaf = lib.tensor(np.arange(12.0).reshape(3, 4) + 1, requires_grad=True, device=device)
    x = leaf * 2
    v = view(x)
    v.mul_(3)
    other = lib.tensor(2.5, dtype=lib.float64, requires_grad=True, device=device)
    part = v[:1] if v.ndim else v
    part.copy_(other * other)
    (x * x + x).sum().backward()
    return [t.detach().cpu().numpy() for t in (x, v, leaf.grad, other.grad)]


@pytest.mark.parametrize("name", VIEWS)
def test_what_is_written_through_a_view_is_pytorchs_in_value_and_gradient(name, device):
    try:
        expected = _written(real, VIEWS[name], "cpu")
    except RuntimeError as e:  # PyTorch lets nobody write to one of several views
        assert "multiple views" in str(e)
        part = {
            "split": lambda x: x[:2], "tensor_split": lambda x: x[:, 2:], "hsplit": lambda x: x[:, :2],
            "chunk": lambda x: x[:, 2:], "unbind": lambda x: x[:, 0],
        }[name]  # fmt: skip
        expected = _written(real, part, "cpu")
    for mine, theirs in zip(_written(gradwire, VIEWS[name], device), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_no_copy_and_counts_its_bases_versions(name, device):
    base = gradwire.zeros(3, 4, device=device)
    v = VIEWS[name](base)
    assert v._base is base
    v.fill_(7)
    assert base._version == v._version == 1
    assert int((base == 7).sum()) == v.numel()


def test_a_strided_view_of_another_layout_carries_gradients(device):
    def run(lib, where):
        x = lib.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True, device=where)
        y = (x.t() * 1.0).t()  # its memory is not in the order of its elements
        z = y.as_strided((2, 2), (1, 2), 1)
        z.mul_(2)
        (y * y * y).sum().backward()
        return x.grad.cpu().numpy(), y.detach().cpu().numpy()

    theirs = real.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    mine, value = run(gradwire, device)
    scale = np.where(value == np.arange(6.0).reshape(2, 3), 1.0, 2.0)
    y = theirs * real.tensor(scale)
    (y * y * y).sum().backward()
    np.testing.assert_allclose(mine, theirs.grad.numpy())


RESHAPED = {
    "t_": lambda x: x.t_(), "transpose_": lambda x: x.transpose_(0, 1), "swapaxes_": lambda x: x.swapaxes_(0, 1),
    "unsqueeze_": lambda x: x.unsqueeze_(1), "squeeze_": lambda x: x.squeeze_(), "as_strided_": lambda x: x.as_strided_((2, 2), (3, 1)),
}  # fmt: skip


@pytest.mark.parametrize("of_a_view", [False, True])
@pytest.mark.parametrize("name", RESHAPED)
def test_a_tensor_that_becomes_its_own_view_keeps_its_gradient(name, of_a_view, device):
    def run(lib, where):
        leaf = lib.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True, device=where)
        x = leaf * 2
        y = x[1:3] if of_a_view else x
        assert RESHAPED[name](y) is y
        y.mul_(3)
        loss = (x * 3).sum() + (y * y).sum()
        return y.detach().cpu().numpy(), lib.autograd.grad(loss, leaf)[0].cpu().numpy()

    for mine, theirs in zip(run(gradwire, device), run(real, "cpu"), strict=True):
        np.testing.assert_allclose(mine, theirs)


@pytest.mark.parametrize("lib", [gradwire, real], ids=["gradwire", "torch"])
def test_a_saved_tensor_that_was_given_another_shape_is_noticed(lib):
    x, w = lib.ones(2, 2) * 3, lib.ones(2, 2, requires_grad=True)
    y = (x * w).sum()
    x.t_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        w.t_()


def test_writes_through_a_view_of_what_was_given_another_shape_are_refused():
    x = gradwire.ones(2, 3, requires_grad=True) * 2
    row = x[0]
    x.t_()
    with pytest.raises(RuntimeError, match="another shape or storage"):
        row.mul_(3)
    assert x.tolist() == [[2, 2], [2, 2], [2, 2]]
    with gradwire.no_grad(), pytest.raises(RuntimeError, match="no_grad"):
        x.t_()


def test_as_strided_beyond_its_input_is_refused_where_gradients_would_be_lost(device):
    x = gradwire.arange(6, dtype=gradwire.float64, device=device)
    assert x[2:4].as_strided((3,), (2,), 0).tolist() == [0, 2, 4]


def test_a_copy_with_a_strided_part_replaced_has_the_true_gradient(device):
    x, v = (gradwire.tensor(np.arange(n) + 0.5, device=device).requires_grad_() for n in (6, 2))
    y = gradwire.as_strided_scatter(x, v, (2,), (3,), 1)
    assert y.tolist() == [0.5, 0.5, 2.5, 3.5, 1.5, 5.5]
    assert gradwire.autograd.gradcheck(lambda a, b: gradwire.as_strided_scatter(a, b, (2,), (3,), 1), (x, v))


def test_bits_read_as_another_dtype_share_the_storage(device):
    x = gradwire.ones(3, device=device)
    bits = x.view(gradwire.int32)
    assert bits.tolist() == real.ones(3).view(real.int32).tolist()
    bits.fill_(0)
    assert x.tolist() == [0, 0, 0]
    assert x._version == 1


@pytest.mark.parametrize("name", ["mT", "mH", "H"])
def test_matrix_properties_refuse_what_is_no_matrix(name):
    with pytest.raises(RuntimeError, match=f"tensor.{name} is only supported on matrices"):
        getattr(gradwire.ones(3), name)
    with pytest.raises(RuntimeError, match=f"tensor.{name} is only supported on matrices"):
        getattr(real.ones(3), name)


@pytest.mark.parametrize("where", [[1, 3], 2, [4, 1]])
def test_a_tensor_on_the_cpu_says_where_to_split(where, device):
    x, y = gradwire.arange(6, device=device), real.arange(6)
    mine, theirs = x.tensor_split(gradwire.tensor(where)), y.tensor_split(real.tensor(where))
    assert [t.tolist() for t in mine] == [t.tolist() for t in theirs]


def test_the_nodes_of_views_have_pytorchs_names():
    for call in (
        lambda x: x.view(4, 3), lambda x: x.permute(1, 0), lambda x: x.transpose(0, 1), lambda x: x.t(), lambda x: x.unsqueeze(0),
        lambda x: x.expand(2, 3, 4), lambda x: x.diagonal(), lambda x: x.unfold(0, 2, 1), lambda x: x.as_strided((2,), (1,)),
        lambda x: x.flip(0), lambda x: x.roll(1, 0), lambda x: x[1:], lambda x: x[0],
    ):  # fmt: skip
        names = [
            type(call(lib.ones(3, 4, requires_grad=True) * 1).grad_fn).__name__
            if lib is real
            else call(lib.ones(3, 4, requires_grad=True) * 1).grad_fn.name()
            for lib in (real, gradwire)
        ]
        assert names[0] == names[1]
