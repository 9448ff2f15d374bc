"""Cases of the recurrent layers: sequences of one and of different lengths, both directions, projections."""

from __future__ import annotations

import numpy as np
import torch

from gradwire.ops.recurrent import GATES, Spec

from .cases import Case, given, signed

_NONE = np.zeros(0)
SIZES = {"even": (3, 3, 3), "uneven": (3, 2, 2, 1), "one-step": (2,)}


def _arrays(mode: str, sizes: tuple[int, ...], bias: bool, projects: bool) -> tuple[np.ndarray, ...]:
    rows, size = GATES[mode] * 2, 1 if projects else 2
    return (
        signed(sum(sizes), 2), signed(sizes[0], size), signed(sizes[0], 2) if mode == "LSTM" else _NONE, signed(rows, 2),
        signed(rows, size), signed(rows) if bias else _NONE, signed(rows) if bias else _NONE,
        signed(size, 2) if projects else _NONE,
    )  # fmt: skip


def _by_torch(spec: Spec):
    """The same by PyTorch's layer; a reversed direction as the second one of a bidirectional layer."""

    def run(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr):
        mode = spec.mode.split("_")[0]
        options = {"nonlinearity": spec.mode.split("_")[1].lower()} if mode == "RNN" else {}
        if spec.projects:
            options["proj_size"] = 1
        layer = getattr(torch.nn, mode)(2, 2, bias=spec.bias, bidirectional=spec.reverse, **options).double()
        weights = [w_ih, w_hh, *((b_ih, b_hh) if spec.bias else ()), *((w_hr,) if spec.projects else ())]
        with torch.no_grad():
            for p, w in zip(layer.all_weights[-1], weights, strict=True):
                p.copy_(w)
        packed = torch.nn.utils.rnn.PackedSequence(x, torch.tensor(spec.sizes))
        states = [
            torch.stack([torch.zeros_like(s), s]) if spec.reverse else s[None]
            for s in (h0, c0)[: 1 + (mode == "LSTM")]
        ]
        out, ends = layer(packed, tuple(states) if mode == "LSTM" else states[0])
        ends = ends if mode == "LSTM" else (ends,)
        size = h0.shape[1]
        return tuple(t.detach() for t in (out.data[:, -size:], *(e[-1] for e in ends)))

    return run


def _case(mode: str, sizes: str, reverse: bool = False, bias: bool = True, projects: bool = False) -> Case:
    spec = Spec(mode, SIZES[sizes], reverse, bias, projects)
    note = f"{mode}-{sizes}{'-reverse' * reverse}{'-plain' * (not bias)}{'-projects' * projects}"
    outputs = 3 if mode == "LSTM" else 2
    return Case(
        "recurrent",
        _arrays(mode, SIZES[sizes], bias, projects),
        _by_torch(spec),
        given(spec),
        note,
        outputs=outputs,
    )


CASES = [
    *(_case(mode, "uneven") for mode in GATES),
    _case("LSTM", "uneven", reverse=True),
    _case("GRU", "uneven", reverse=True),
    _case("LSTM", "one-step"),
    _case("GRU", "even", bias=False),
    _case("RNN_RELU", "even", bias=False),
    _case("LSTM", "uneven", reverse=True, projects=True),
]
