"""Recurrent layers and cells."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import versions
from ...autocast import is_autocast_enabled, lowered
from ...creation import empty, zeros
from ...functions import cat, stack
from ...ops.recurrent import GATES, Spec
from ...ops.registry import apply_several, index
from ...tensor import Tensor
from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter
from ..utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell"]

_RECURRENT = index["recurrent"]


def _layer(x: Tensor, h: Tensor, c: Tensor | None, weights: dict[str, Any], spec: Spec) -> tuple[Tensor, ...]:
    """One direction of one layer over rows ordered by step: y, h_n and (LSTM) c_n."""
    none = x.new_zeros(0)
    given = (
        x, h, none if c is None else c, weights["ih"], weights["hh"], weights.get("b_ih", none),
        weights.get("b_hh", none), weights.get("hr", none),
    )  # fmt: skip
    return apply_several(_RECURRENT, lowered(*given) if versions.watch else given, (spec,))


class RNNBase(Module):
    """What RNN, LSTM and GRU have in common: stacked layers, in one direction or both, over steps."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        for name, value, kind in (
            ("bias", bias, bool), ("batch_first", batch_first, bool), ("input_size", input_size, int), ("hidden_size", hidden_size, int),
        ):  # fmt: skip
            if not isinstance(value, kind):
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        for name, value in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=2,
            )
        self.mode, self.input_size, self.hidden_size, self.num_layers = (
            mode,
            input_size,
            hidden_size,
            num_layers,
        )
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        size, rows = proj_size or hidden_size, GATES[mode] * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else size * (2 if bidirectional else 1)
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, size)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for direction in ("", "_reverse") if bidirectional else ("",):
                for name, shape in shapes.items():
                    weight = Parameter(empty(*shape, device=device, dtype=dtype))
                    setattr(self, f"{name}_l{layer}{direction}", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing to do: every layer is one operation whatever the layout of its weights."""

    def _weights(self, layer: int, reverse: bool) -> dict[str, Any]:
        ending = f"_l{layer}{'_reverse' * reverse}"
        kinds = {
            "ih": "weight_ih",
            "hh": "weight_hh",
            "b_ih": "bias_ih",
            "b_hh": "bias_hh",
            "hr": "weight_hr",
        }
        return {
            short: self._parameters[name + ending]
            for short, name in kinds.items()
            if name + ending in self._parameters
        }

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """For each layer and direction its weights, in the order of their names in PyTorch."""
        directions = (False, True) if self.bidirectional else (False,)
        return [
            list(self._weights(layer, reverse).values())
            for layer in range(self.num_layers)
            for reverse in directions
        ]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0), ("bidirectional", False)):  # fmt: skip
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text

    def _check(self, input: Tensor, packed: bool) -> None:
        weight = self._parameters["weight_ih_l0"]
        if input.dtype is not weight.dtype and not is_autocast_enabled(input.device.type):  # type: ignore[union-attr]
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "  # type: ignore[union-attr]
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"  # type: ignore[union-attr]
            )
        expected = 2 if packed else 3
        if input.ndim != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def _run(self, input: Any, states: list[Any]) -> tuple[Any, list[Tensor]]:
        """The output and the last states; a state is (layers · directions, batch, size), or None for zeros."""
        packed, unbatched = isinstance(input, PackedSequence), False
        if packed:
            x, sizes = input.data, tuple(input.batch_sizes.tolist())
            self._check(x, True)
            batch = sizes[0]
            if input.sorted_indices is not None:
                states = [None if s is None else s.index_select(1, input.sorted_indices) for s in states]
        else:
            if input.ndim not in (2, 3):
                name = self.mode.split("_")[0]
                raise ValueError(
                    f"{name}: Expected input to be 2D or 3D, got {input.ndim}D {'tensor ' * (name == 'RNN')}instead"
                )
            unbatched = input.ndim == 2
            self._check_dims(states, unbatched)
            if unbatched:
                x = input.unsqueeze(1)
                states = [None if s is None else s.unsqueeze(1) for s in states]
            else:
                x = input.transpose(0, 1) if self.batch_first else input
            self._check(x, False)
            steps, batch = x.shape[0], x.shape[1]
            if not steps:
                raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
            sizes = (batch,) * steps
            x = x.reshape(steps * batch, x.shape[2])
        directions = 2 if self.bidirectional else 1
        states = [
            s
            if s is not None
            else zeros(self.num_layers * directions, batch, size, dtype=x.dtype, device=x.device)
            for s, size in zip(states, self._state_sizes(), strict=True)
        ]
        for s, size, which in zip(states, self._state_sizes(), ("hidden[0]", "hidden[1]"), strict=False):
            expected = (self.num_layers * directions, batch, size)
            if tuple(s.shape) != expected:
                name = which if len(states) == 2 else "hidden"
                raise RuntimeError(f"Expected {name} size {expected}, got {list(s.shape)}")
        last: list[list[Tensor]] = [[] for _ in states]
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout, True)
            outputs = []
            for d in range(directions):
                spec = Spec(self.mode, sizes, bool(d), self.bias, bool(self.proj_size))
                at = layer * directions + d
                h, c = states[0][at], states[1][at] if len(states) == 2 else None
                y, *ends = _layer(x, h, c, self._weights(layer, bool(d)), spec)
                outputs.append(y)
                for store, end in zip(last, ends, strict=False):
                    store.append(end)
            x = outputs[0] if directions == 1 else cat(outputs, -1)
        ends = [stack(parts) for parts in last]
        if packed:
            order = input.unsorted_indices
            if order is not None:
                ends = [e.index_select(1, order) for e in ends]
            return PackedSequence(x, input.batch_sizes, input.sorted_indices, order), ends
        x = x.reshape(steps, batch, x.shape[-1])
        if unbatched:
            return x.squeeze(1), [e.squeeze(1) for e in ends]
        return (x.transpose(0, 1) if self.batch_first else x), ends

    def _state_sizes(self) -> list[int]:
        return [self.hidden_size]

    def _check_dims(self, states: list[Any], unbatched: bool) -> None:
        n, kind = (2, "unbatched 2-D") if unbatched else (3, "batched 3-D")
        for s in states:
            if s is not None and s.ndim != n:
                raise RuntimeError(f"For {kind} input, hx should also be {n}-D but got {s.ndim}-D tensor")

    def forward(self, input: Any, hx: Any = None) -> Any:
        output, (h_n,) = self._run(input, [hx])
        return output, h_n


class RNN(RNNBase):
    """Elman's recurrence: h' = tanh (or relu) of W_ih x + b_ih + W_hh h + b_hh.

    input (steps, batch, in), (batch, steps, in) with batch_first, (steps, in) or packed -> output, h_n.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997); projections: Sak et al., arXiv:1402.1128.

    input (steps, batch, in), (batch, steps, in) with batch_first, (steps, in) or packed -> output, (h_n, c_n).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def _state_sizes(self) -> list[int]:
        return [self.proj_size or self.hidden_size, self.hidden_size]

    def _check_dims(self, states: list[Any], unbatched: bool) -> None:
        n, kind = (2, "unbatched 2-D") if unbatched else (3, "batched 3-D")
        if states[0] is not None and (states[0].ndim != n or states[1].ndim != n):
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {n}-D but got ({states[0].ndim}-D, {states[1].ndim}-D) tensors"
            )

    def forward(self, input: Any, hx: Any = None) -> Any:
        output, (h_n, c_n) = self._run(input, [None, None] if hx is None else list(hx))
        return output, (h_n, c_n)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al., arXiv:1406.1078), with the reset after the product as in cuDNN.

    input (steps, batch, in), (batch, steps, in) with batch_first, (steps, in) or packed -> output, h_n.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class _Cell(Module):
    """One step of one layer: input (batch, in) or (in,)."""

    _mode = ""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self._gates() * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(
                name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None
            )
        self.reset_parameters()

    def _gates(self) -> int:
        return GATES[self._mode]

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else text + f", bias={self.bias}"

    def _step(self, input: Tensor, states: list[Any], mode: str) -> list[Tensor]:
        name = self._get_name()
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        for i, s in enumerate(states):
            if s is not None and s.ndim not in (1, 2):
                which = f"hx[{i}]" if len(states) == 2 else "hidden"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {s.ndim}D instead")
        alone = input.ndim == 1
        x = input.unsqueeze(0) if alone else input
        if x.shape[1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}"
            )
        given = []
        for i, s in enumerate(states):
            if s is None:
                s = zeros(x.shape[0], self.hidden_size, dtype=x.dtype, device=x.device)
            elif alone:
                s = s.unsqueeze(0)
            if tuple(s.shape) != (x.shape[0], self.hidden_size):
                if s.shape[0] != x.shape[0]:
                    raise RuntimeError(
                        f"Input batch size {x.shape[0]} doesn't match hidden{i} batch size {s.shape[0]}"
                    )
                raise RuntimeError(
                    f"hidden{i} has inconsistent hidden_size: got {s.shape[1]}, expected {self.hidden_size}"
                )
            given.append(s)
        weights = {"ih": self.weight_ih, "hh": self.weight_hh}
        if self.bias:
            weights |= {"b_ih": self.bias_ih, "b_hh": self.bias_hh}
        spec = Spec(mode, (x.shape[0],), bias=self.bias)
        _, *ends = _layer(x, given[0], given[1] if len(given) == 2 else None, weights, spec)
        return [e.squeeze(0) if alone else e for e in ends[: len(states)]]


class RNNCell(_Cell):
    """One step of RNN: input (batch, in), hx (batch, hidden) -> (batch, hidden)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def _gates(self) -> int:
        return 1

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else text + f", nonlinearity={self.nonlinearity}"

    def forward(self, input: Tensor, hx: Any = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(input, [hx], f"RNN_{self.nonlinearity.upper()}")[0]


class LSTMCell(_Cell):
    """One step of LSTM: input (batch, in), hx of (h, c) -> (h, c), each (batch, hidden)."""

    _mode = "LSTM"

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Tensor]:
        h, c = self._step(input, [None, None] if hx is None else list(hx), "LSTM")
        return h, c


class GRUCell(_Cell):
    """One step of GRU: input (batch, in), hx (batch, hidden) -> (batch, hidden)."""

    _mode = "GRU"

    def forward(self, input: Tensor, hx: Any = None) -> Tensor:
        return self._step(input, [hx], "GRU")[0]
