"""torch.linalg as a namespace, and what has no one answer to be compared with PyTorch's."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
import torch

import gradwire
from gradwire.autograd import gradcheck, gradgradcheck


def test_the_attribute_is_the_public_module_and_shows_its_public_names_alone():
    assert gradwire.linalg is importlib.import_module("gradwire.linalg")
    shown = {n for n in dir(gradwire.linalg) if not n.startswith("_")}
    assert shown == set(gradwire.linalg.__all__)


def _matrices(device, *shape, seed=3):
    a = np.random.default_rng(seed).normal(size=shape)
    return gradwire.from_numpy(a).to(device)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)])
def test_singular_vectors_are_orthogonal_and_give_the_matrix_back(device, shape):
    a = _matrices(device, *shape)
    k = min(shape[-2:])
    for full in (False, True):
        u, s, vh = gradwire.linalg.svd(a, full_matrices=full)
        middle = gradwire.diag_embed(s)
        assert gradwire.allclose(u[..., :k] @ middle @ vh[..., :k, :], a, rtol=1e-12, atol=1e-12)
        for q in (u, vh.mT):
            assert gradwire.allclose(
                q.mT @ q, gradwire.eye(q.shape[-1], dtype=q.dtype, device=device), atol=1e-12
            )
        assert bool((s[..., :-1] >= s[..., 1:]).all())
    u, s, v = gradwire.svd(a)
    assert gradwire.allclose(u @ gradwire.diag_embed(s) @ v.mT, a, atol=1e-12)


@pytest.mark.parametrize("uplo", ["L", "U"])
def test_eigenvectors_give_the_matrix_back_of_which_one_triangle_is_read(device, uplo):
    a = _matrices(device, 2, 4, 4)
    one = gradwire.tril(a) if uplo == "L" else gradwire.triu(a)
    whole = one + one.mT - gradwire.diag_embed(one.diagonal(0, -2, -1))
    w, v = gradwire.linalg.eigh(a, uplo)
    assert gradwire.allclose(v @ gradwire.diag_embed(w) @ v.mT, whole, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
def test_derivatives_through_singular_vectors_agree_with_differences(device, shape):
    def spread(a):
        u, s, vh = gradwire.linalg.svd(a, full_matrices=False)
        return u[..., :1] * s[..., :1] @ vh[..., :1, :]  # the nearest matrix of rank 1, which no sign changes

    a = _matrices(device, *shape).requires_grad_()
    assert gradcheck(spread, (a,))
    assert gradgradcheck(spread, (a,))


def test_derivatives_through_eigenvectors_agree_with_differences(device):
    def spread(a):
        w, v = gradwire.linalg.eigh((a + a.mT) / 2)
        return v[..., :1] @ v[..., :1].mT * w.exp().sum(-1)

    a = _matrices(device, 3, 3).requires_grad_()
    assert gradcheck(spread, (a,))
    assert gradgradcheck(spread, (a,))


def test_the_gradient_of_a_singular_matrixs_determinant_is_the_transposed_adjugate(device):
    a = gradwire.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=gradwire.float64, device=device, requires_grad=True)
    gradwire.linalg.det(a).backward()
    assert gradwire.allclose(
        a.grad.cpu(), gradwire.tensor([[4.0, -2.0], [-2.0, 1.0]], dtype=gradwire.float64)
    )


@pytest.mark.parametrize("p", ["fro", 1, -1, float("inf")])
def test_derivatives_of_condition_numbers_agree_with_differences(device, p):
    assert gradcheck(lambda a: gradwire.linalg.cond(a, p), (_matrices(device, 3, 3).requires_grad_(),))


def test_powers_in_vander_have_their_derivatives(device):
    assert gradcheck(lambda x: gradwire.vander(x, 4), (_matrices(device, 3).requires_grad_(),))


def test_infos_tell_which_matrix_of_a_batch_fails_and_where(device):
    one = [[2.0, 1.0], [1.0, 3.0]]
    a = gradwire.tensor([one, [[1.0, 2.0], [2.0, 4.0]]], device=device)
    inverse, info = gradwire.linalg.inv_ex(a)
    assert info.tolist() == [0, 2]
    assert gradwire.allclose(inverse[0] @ a[0], gradwire.eye(2, device=device), atol=1e-6)
    assert inverse[1].isnan().all()
    result, info = gradwire.linalg.solve_ex(a, gradwire.ones(2, 2, 1, device=device))
    assert info.tolist() == [0, 2]
    assert gradwire.allclose(a[0] @ result[0], gradwire.ones(2, 1, device=device), atol=1e-6)
    factor, info = gradwire.linalg.cholesky_ex(gradwire.stack([a[0], -a[0]]))
    assert info.tolist() == [0, 1]
    assert gradwire.allclose(factor[0] @ factor[0].mT, a[0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.linalg.inv(m.tensor([[1.0, 2.0], [2.0, 4.0]])), "linalg.inv: The diagonal element 2 is zero"),
        (lambda m: m.linalg.inv(m.zeros(2, 1, 1)), "linalg.inv: (Batch element 0): The diagonal element 1 is zero"),
        (lambda m: m.linalg.solve(m.zeros(2, 2), m.ones(2)), "torch.linalg.solve: The solver failed because the input matrix is singular."),
        (lambda m: m.linalg.cholesky(m.tensor([[1.0, 2.0], [2.0, 1.0]])), "(the leading minor of order 2 is not positive-definite)."),
        (lambda m: m.linalg.svd(m.tensor([[float("nan")]])), "because the input matrix contained non-finite values."),
    ],
)  # fmt: skip
def test_failures_are_lin_alg_errors_in_pytorchs_words(call, words):
    for m in (torch, gradwire):
        with pytest.raises(m.linalg.LinAlgError, match=re.escape(words)):
            call(m)
    assert issubclass(gradwire.linalg.LinAlgError, RuntimeError)


def test_complex_eigenvalues_are_absent():
    assert not hasattr(gradwire.linalg, "eig")
    assert not hasattr(gradwire.linalg, "eigvals")
