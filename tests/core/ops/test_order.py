"""Selection among equal elements is that of a stable sort, on every path."""

from __future__ import annotations

import numpy as np
import pytest

import gradwire

_draw = np.random.default_rng(3)
ROWS = {
    "few-values": lambda: _draw.integers(0, 3, (3, 200)).astype(np.float32),
    "with-nan": lambda: np.where(_draw.random((3, 200)) < 0.2, np.nan, _draw.integers(0, 3, (3, 200))),
    "mostly-nan": lambda: np.where(_draw.random((3, 200)) < 0.99, np.nan, 1.0),
    "one-value": lambda: np.ones((2, 100)),
    "whole": lambda: _draw.integers(0, 5, (2, 100)),
    "infinite": lambda: _draw.choice([np.inf, -np.inf, np.nan, 0.0, -0.0], (3, 150)),
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("dim", [0, 1])
def test_topk_kthvalue_and_median_choose_what_a_stable_sort_has_there(device, rows, dim):
    a = ROWS[rows]()
    a = np.ascontiguousarray(a.T) if dim == 0 else a
    t = gradwire.from_numpy(a).to(device)
    n = a.shape[dim]
    up, down = (t.sort(dim=dim, descending=d, stable=True).indices.cpu().numpy() for d in (False, True))
    for k in (1, 2, 7, 25, n // 2, n):
        for order, largest in ((up, False), (down, True)):
            values, indices = t.topk(k, dim, largest)
            expected = order.take(range(k), axis=dim)
            np.testing.assert_array_equal(indices.cpu().numpy(), expected)
            np.testing.assert_array_equal(values.cpu().numpy(), np.take_along_axis(a, expected, dim))
        found = t.kthvalue(k, dim).indices.cpu().numpy()
        np.testing.assert_array_equal(found, up.take(k - 1, axis=dim))
    holes = np.isnan(a.astype(float)).sum(axis=dim)
    for name, place in (
        ("median", np.where(holes, n - holes, (n - 1) // 2)),
        ("nanmedian", np.maximum((n - holes - 1) // 2, 0)),
    ):
        expected = np.take_along_axis(up, np.expand_dims(place, dim), dim).squeeze(dim)
        np.testing.assert_array_equal(getattr(t, name)(dim).indices.cpu().numpy(), expected)


@pytest.mark.parametrize("rows", ROWS)
def test_running_extremes_are_the_last_of_equal_ones(device, rows):
    a = ROWS[rows]()
    for name in ("cummax", "cummin"):
        values, indices = getattr(gradwire.from_numpy(a).to(device), name)(1)
        best = np.empty_like(a)
        where = np.zeros(a.shape, np.int64)
        for row, (chosen, at) in zip(a, zip(best, where, strict=True), strict=True):
            for i, x in enumerate(row):  # spelled out
                better = (
                    i == 0
                    or x != x
                    or (
                        chosen[i - 1] == chosen[i - 1]
                        and (x >= chosen[i - 1] if name == "cummax" else x <= chosen[i - 1])
                    )
                )
                chosen[i], at[i] = (x, i) if better else (chosen[i - 1], at[i - 1])
        np.testing.assert_array_equal(indices.cpu().numpy(), where)
        np.testing.assert_array_equal(values.cpu().numpy(), best)
