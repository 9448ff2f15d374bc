"""Recurrent layers (RNN, LSTM, GRU) as one operation over all steps of a sequence, in one direction.

Rows of the input are ordered by step: the `sizes[0]` rows of the first step, then the `sizes[1]` of the next, and so on,
sizes never rising (a packed sequence; for an ordinary one they are all the same). The products of all rows with the
input's weights are one matrix product, and so are the gradients of the weights; what depends on the step before is a loop.
Equations as PyTorch's documentation has them; Hochreiter and Schmidhuber, Neural Computation 9 (1997); Cho et al.,
arXiv:1406.1078.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..backends import module_of
from ..node import Op
from .matrix import column_sums
from .registry import register, tensors

__all__ = ["GATES", "Spec"]

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class Spec(NamedTuple):
    """mode: a key of GATES. sizes: rows of each step. reverse: whether the last step comes first."""

    mode: str
    sizes: tuple[int, ...]
    reverse: bool = False
    bias: bool = True
    projects: bool = False

    def steps(self) -> list[slice]:
        """The rows of each step, in the order in which the steps are taken."""
        found, start = [], 0
        for n in self.sizes:
            found.append(slice(start, start + n))
            start += n
        return found[::-1] if self.reverse else found


def _sigmoid(xp: Any, a: Any) -> Any:
    return 0.5 * (xp.tanh(0.5 * a) + 1)


def _halves(xp: Any, hidden: int, dtype: Any) -> tuple[Any, Any]:
    """What the arguments of an LSTM's gates, and the tanh of them, are multiplied with; and what is added then."""
    by = xp.full(4 * hidden, 0.5, dtype)
    by[2 * hidden : 3 * hidden] = 1
    offsets = xp.full(4 * hidden, 0.5, dtype)
    offsets[2 * hidden : 3 * hidden] = 0
    return by, offsets


@register("recurrent", inputs=8, outputs=5)
class Recurrent(Op):
    """recurrent(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, spec) -> (y, h_n, c_n, cells, gates).

    x (rows, in), h0 (batch, size), c0 (batch, hidden), w_ih (gates · hidden, in), w_hh (gates · hidden, size), b_* (gates ·
    hidden,), w_hr (size, hidden); y (rows, size). What a mode has not (c0, biases, w_hr) is an empty array. cells and
    gates are kept for backward, which takes no gradients of them.
    """

    __slots__ = ()
    save = (0, 1, 2, 3, 4, 5, 6, 7, "out")

    @staticmethod
    def forward(
        x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any, spec: Spec
    ) -> tuple[Any, ...]:
        xp, rows, hidden = module_of(x), x.shape[0], w_hh.shape[0] // GATES[spec.mode]
        is_gru, is_lstm = spec.mode == "GRU", spec.mode == "LSTM"
        inward, back = w_ih.T, w_hh.T
        bias = (b_ih if is_gru else b_ih + b_hh) if spec.bias else None
        if is_lstm:  # sigmoid(z) is tanh(z / 2) / 2 + 1 / 2: one tanh for all gates, with the halves multiplied in before
            halves, offsets = _halves(xp, hidden, x.dtype)
            inward, back = inward * halves, back * halves
            bias = bias * halves if spec.bias else None
        given = x.dot(inward)
        if spec.bias:
            given += bias
        y = xp.empty((rows, h0.shape[1]), x.dtype)
        cells = xp.empty((rows, hidden) if is_lstm else (0,), x.dtype)
        gates = given if is_lstm else xp.empty((rows, 4 * hidden) if is_gru else (0,), x.dtype)
        h, c = h0.copy(), c0.copy()
        back = xp.ascontiguousarray(back)  # once, for the product of every step
        for step in spec.steps():
            n = step.stop - step.start
            z = h[:n].dot(back)
            if is_lstm:
                act, cell = gates[step], cells[step]
                z += act
                xp.tanh(z, out=act)
                act *= halves
                act += offsets
                xp.multiply(act[:, hidden : 2 * hidden], c[:n], out=cell)
                cell += act[:, :hidden] * act[:, 2 * hidden : 3 * hidden]
                c[:n] = cell
                out = xp.tanh(cell)
                out *= act[:, 3 * hidden :]
                if spec.projects:
                    out = out.dot(w_hr.T)
            elif is_gru:
                if spec.bias:
                    z += b_hh
                own, act = given[step], gates[step]
                act[:, : 2 * hidden] = _sigmoid(xp, own[:, : 2 * hidden] + z[:, : 2 * hidden])
                act[:, 3 * hidden :] = z[:, 2 * hidden :]
                r, u = act[:, :hidden], act[:, hidden : 2 * hidden]
                new = xp.tanh(own[:, 2 * hidden :] + r * z[:, 2 * hidden :])
                act[:, 2 * hidden : 3 * hidden] = new
                out = new + u * (h[:n] - new)
            else:
                z += given[step]
                out = xp.tanh(z) if spec.mode == "RNN_TANH" else xp.maximum(z, 0)
            y[step] = out
            h[:n] = out
        return y, h, c, cells, gates

    def backward(self, m: Any, g: Any, *saved: Any) -> tuple[Any, ...]:
        spec: Spec = self.attrs[0]
        if m is tensors:
            return self._of_tensors(g, saved[:8], spec)
        return self._of_arrays(g, saved, spec)

    def _of_arrays(self, g: Any, saved: Any, spec: Spec) -> tuple[Any, ...]:
        x, h0, c0, w_ih, w_hh, _, _, w_hr, y, _, _, cells, gates = saved
        xp, hidden = module_of(x), w_hh.shape[0] // GATES[spec.mode]
        is_gru, is_lstm = spec.mode == "GRU", spec.mode == "LSTM"
        gy = g[0]
        dh = xp.zeros(h0.shape, h0.dtype) if g[1] is None else g[1].copy()
        dc = xp.zeros(c0.shape, c0.dtype) if g[2] is None else g[2].copy()
        before = self._states_before(y, h0, spec)
        on_input = xp.empty((x.shape[0], w_ih.shape[0]), x.dtype)  # gradients of x @ w_ih.T + …
        on_state = xp.empty(on_input.shape, x.dtype) if is_gru else on_input  # and of h @ w_hh.T + …
        if is_lstm:  # the factors that do not depend on later steps, for all rows at once
            i, f, new, o = (gates[:, k * hidden : (k + 1) * hidden] for k in range(4))
            of_i, of_f, of_new, of_o = (on_input[:, k * hidden : (k + 1) * hidden] for k in range(4))
            squashed = xp.tanh(cells)
            through_cell = o * (1 - squashed * squashed)
            xp.multiply(new, i * (1 - i), out=of_i)
            xp.multiply(self._states_before(cells, c0, spec), f * (1 - f), out=of_f)
            xp.multiply(i, 1 - new * new, out=of_new)
            xp.multiply(squashed, o * (1 - o), out=of_o)
            on_cell = on_input.reshape(-1, 4, hidden)[:, :3]
        if spec.projects:
            out = o * squashed
            on_projected = xp.empty(y.shape, x.dtype)
        for step in reversed(spec.steps()):
            n = step.stop - step.start
            d = dh[:n] if gy is None else dh[:n] + gy[step]
            if is_lstm:
                if spec.projects:
                    on_projected[step] = d
                    d = d.dot(w_hr)
                inner = d * through_cell[step]
                inner += dc[:n]
                on_cell[step] *= inner[:, None]
                of_o[step] *= d
                xp.multiply(inner, f[step], out=dc[:n])
                dh[:n] = on_input[step].dot(w_hh)
            elif is_gru:
                r, u, new, state = (gates[step, k * hidden : (k + 1) * hidden] for k in range(4))
                into, through = on_input[step], on_state[step]
                dn = d * (1 - u) * (1 - new * new)
                into[:, :hidden] = dn * state * (r * (1 - r))
                into[:, hidden : 2 * hidden] = d * (before[step] - new) * (u * (1 - u))
                into[:, 2 * hidden :] = dn
                through[:, : 2 * hidden] = into[:, : 2 * hidden]
                through[:, 2 * hidden :] = dn * r
                dh[:n] = d * u + through.dot(w_hh)
            else:
                own = y[step]
                on_input[step] = d * (1 - own * own) if spec.mode == "RNN_TANH" else xp.where(own > 0, d, 0)
                dh[:n] = on_input[step].dot(w_hh)
        wanted = self.edges
        d_bias: Any = column_sums(on_input) if spec.bias else None
        return (
            on_input.dot(w_ih) if wanted[0] is not None else None,
            dh,
            dc if is_lstm else None,
            on_input.T.dot(x) if wanted[3] is not None else None,
            on_state.T.dot(before) if wanted[4] is not None else None,
            d_bias,
            None if not spec.bias else column_sums(on_state) if is_gru else d_bias.copy(),
            on_projected.T.dot(out) if spec.projects else None,
        )

    @staticmethod
    def _states_before(rows: Any, first: Any, spec: Spec) -> Any:
        """For each row the state that its step began with."""
        found = module_of(first).empty((sum(spec.sizes), first.shape[1]), first.dtype)
        last: Any = None
        for step in spec.steps():
            n = step.stop - step.start
            known = 0 if last is None else min(n, last.stop - last.start)
            if known:
                found[step.start : step.start + known] = rows[last.start : last.start + known]
            if known < n:
                found[step.start + known : step.stop] = first[known:n]
            last = step
        return found

    @staticmethod
    def _of_tensors(g: Any, inputs: tuple[Any, ...], spec: Spec) -> tuple[Any, ...]:
        """The gradients as tensors that can be differentiated again: those of the plain composition."""
        from ..autograd import grad  # which builds on the operations

        inputs = tuple(tensors.clone(t) if t.requires_grad else t for t in inputs)  # one may be given twice
        outputs = composed(inputs, spec)
        asked = [(o, d) for o, d in zip(outputs, g, strict=False) if d is not None and o.requires_grad]
        wanted = [t for t in inputs if t.requires_grad]
        found = iter(
            grad([o for o, _ in asked], wanted, [d for _, d in asked], create_graph=True, allow_unused=True)
        )
        return tuple(next(found) if t.requires_grad else None for t in inputs)


def composed(inputs: tuple[Any, ...], spec: Spec) -> tuple[Any, Any, Any]:
    """y, h_n and c_n of `recurrent`, made of small operations on tensors: the reference, and what is differentiated twice."""
    m = tensors
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr = inputs
    hidden = w_hh.shape[0] // GATES[spec.mode]

    def part(t: Any, k: int) -> Any:
        return t[:, k * hidden : (k + 1) * hidden]

    given = m.matmul(x, m.swap_last(w_ih))
    if spec.bias:
        given = given + b_ih
    h, c = h0, c0
    rows = []
    for step in spec.steps():
        n = step.stop - step.start
        z = m.matmul(h[:n], m.swap_last(w_hh))
        if spec.bias:
            z = z + b_hh
        own = given[step]
        if spec.mode == "LSTM":
            z = z + own
            i, f, o = (m.sigmoid(part(z, k)) for k in (0, 1, 3))
            cell = f * c[:n] + i * m.tanh(part(z, 2))
            out = o * m.tanh(cell)
            if spec.projects:
                out = m.matmul(out, m.swap_last(w_hr))
            c = cell if n == c.shape[0] else _joined([cell, c[n:]])
        elif spec.mode == "GRU":
            r, u = (m.sigmoid(part(own, k) + part(z, k)) for k in (0, 1))
            new = m.tanh(part(own, 2) + r * part(z, 2))
            out = new + u * (h[:n] - new)
        else:
            out = m.tanh(z + own) if spec.mode == "RNN_TANH" else m.relu(z + own)
        rows.append(out)
        h = out if n == h.shape[0] else _joined([out, h[n:]])
    return _joined(rows[::-1] if spec.reverse else rows), h, c


def _joined(parts: list[Any]) -> Any:
    return tensors.cat(*parts, (0, tuple(p.shape[0] for p in parts)))
