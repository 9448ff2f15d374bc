"""torch.utils.checkpoint: less memory for more time, by computing anew in backward what forward would have kept.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016. Without use_reentrant, what the operations of the function
save is replaced by place-holders; the first one that backward needs runs the function again, and fills all of them.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from .. import random, versions
from ..autograd.graph import saved_tensors_hooks
from ..function import Function
from ..grad_mode import enable_grad, is_grad_enabled
from ..grad_mode import state as grad_state
from ..node import Node, next_seq
from ..observers import observe, unpacked
from ..tensor import Tensor

__all__ = [
    "CheckpointError", "CheckpointFunction", "checkpoint", "checkpoint_sequential", "noop_context_fn", "set_checkpoint_early_stop",
]  # fmt: skip

Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]


class CheckpointError(RuntimeError):
    """The function did something else when it was run again than it did at first."""


class _EarlyStop:
    forced: bool | None = None


_early_stop = _EarlyStop()


def noop_context_fn() -> Contexts:
    """Contexts that do nothing, for the function's first run and for its run in backward."""
    return nullcontext(), nullcontext()


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Within, checkpoint's early_stop is `enable` whatever it is given."""
    before, _early_stop.forced = _early_stop.forced, enable
    try:
        yield
    finally:
        _early_stop.forced = before


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """What `function` returns; of what it computes for backward only its arguments are kept.

    Backward runs it again, with the random numbers of the first run (preserve_rng_state). use_reentrant=False, to be
    preferred, works with autograd.grad, create_graph and within itself; True runs a backward within backward. context_fn:
    gives a context for each of the two runs. determinism_check: "default" raises CheckpointError where the second run's
    tensors have other shapes, dtypes or devices, "none" does not look. early_stop: the second run ends as soon as
    everything that is wanted is there.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. use_reentrant=False is "
            "recommended; without it, True is taken, as in PyTorch.",
            stacklevel=2,
        )
        use_reentrant = True
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve_rng_state, *args)
    if debug is not False:
        raise NotImplementedError(
            "checkpoint: debug=True is not supported; autograd.detect_anomaly() names the forward line of an error"
        )
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"determinism_check should be one of ['default', 'none'] but got {determinism_check}"
        )
    first, again = context_fn()
    if not is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    if _early_stop.forced is not None:
        early_stop = _early_stop.forced
    frame = _Frame(
        function, args, kwargs, again, preserve_rng_state, determinism_check == "default", early_stop
    )
    with saved_tensors_hooks(frame.pack, _unpack), first:
        result = function(*args, **kwargs)
    frame.complete = True
    return result


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """Runs functions (or the children of a Sequential) one on the other's result, in `segments` checkpoints.

    The last segment is run without one. Keywords as for checkpoint.
    """
    from ..nn import Sequential

    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. "
            "use_reentrant=False is recommended; without it, True is taken, as in PyTorch.",
            stacklevel=2,
        )
        use_reentrant = True
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    parts = list(functions.children()) if isinstance(functions, Sequential) else list(functions)
    if not 1 <= segments <= len(parts):
        raise ValueError(
            f"checkpoint_sequential: segments must be from 1 to the number of functions, {len(parts)}, got {segments}"
        )
    size = len(parts) // segments
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(
            _chain(parts[start : start + size]),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve_rng_state,
        )
    return _chain(parts[size * (segments - 1) :])(input)


def _chain(parts: Sequence[Callable[..., Any]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for part in parts:
            x = part(x)
        return x

    return run


class _Kept(Node):
    """Arguments kept for the second run; hooks on saved tensors, an enclosing checkpoint's among them, see them."""

    __slots__ = ("_rebuild",)

    def __init__(self, tensors: list[Tensor]) -> None:
        self.edges, self.attrs, self.shape, self.dtype, self.hooks = (), None, (), None, None
        self.saved: Any = tuple(tensors)
        self._rebuild = [(t.requires_grad, t.is_leaf) for t in tensors]
        self.seq = next_seq()
        if versions.watch:
            observe(self)

    def name(self) -> str:
        return "CheckpointBackward"

    def tensors(self) -> list[Tensor]:
        """The arguments, apart from the graph that they came from."""
        packed = self.hooks is not None and self.hooks.packed
        result = []
        for t, (needs, is_leaf) in zip(
            unpacked(self, False) if packed else self.saved, self._rebuild, strict=True
        ):
            if versions.last_change > self.seq and versions.changed_since(t._array, self.seq) and not packed:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: an "
                    f"argument of checkpoint of shape {list(t.shape)} was changed after the call. clone() it first."
                )
            if needs and is_leaf and not packed:
                result.append(t)
            elif needs and not is_leaf:  # the function may write to it in place, which a leaf would refuse
                result.append(Tensor._recorded(t._array, _Kept([])))
            else:
                result.append(t.detach().requires_grad_(needs))
        return result


class _Holder:
    """Stands for one saved tensor, until backward wants it."""

    __slots__ = ("__weakref__", "frame", "number")

    def __init__(self, frame: _Frame, number: int) -> None:
        self.frame, self.number = frame, number


def _unpack(holder: _Holder) -> Tensor:
    return holder.frame.value(holder.number)


class _Done(BaseException):
    """Ends the second run; no `except Exception` of the user's holds it up."""


class _Frame:
    """One checkpointed call: what its second run needs, and who waits for what."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: AbstractContextManager[Any],
        preserve_rng_state: bool,
        check: bool,
        early_stop: bool,
    ) -> None:
        self._function, self._context, self._check, self._early_stop = function, context, check, early_stop
        every = [*args, *kwargs.values()]
        self._places = [i for i, a in enumerate(every) if isinstance(a, Tensor)]
        self._kept = _Kept([every[i] for i in self._places])
        self._others = [None if isinstance(a, Tensor) else a for a in every]
        self._keys = list(kwargs)
        self._random = random.current().get_state() if preserve_rng_state else None
        self._holders: list[weakref.ref[_Holder]] = []
        self._metadata: list[tuple[Any, ...]] = []
        self._values: dict[int, Tensor] = {}
        self._pass: Any = None  # the list of last calls of the backward pass that the values are for
        self._lock = threading.RLock()
        self.complete = False

    def pack(self, t: Tensor) -> _Holder:
        holder = _Holder(self, len(self._holders))
        self._holders.append(weakref.ref(holder))
        self._metadata.append(_metadata_of(t))
        return holder

    def value(self, number: int) -> Tensor:
        """The saved tensor `number`, from a second run of the function where this pass has not made one."""
        with self._lock:
            current = grad_state.after_backward
            if current is None or current is not self._pass or number not in self._values:
                self._values.clear()
                self._run_again()
                self._pass = current
                if current is not None:
                    current.append(self._forget)
            return self._values.pop(number)

    def _forget(self) -> None:
        with self._lock:
            self._values.clear()
            self._pass = None

    def _run_again(self) -> None:
        expected, seen = len(self._holders), 0
        wrong: list[str] = []

        def pack(t: Tensor) -> Any:
            nonlocal seen
            number, seen = seen, seen + 1
            if number >= expected:
                if self.complete:
                    raise CheckpointError(
                        "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                        "forward pass."
                    )
                return None
            if self._check and _metadata_of(t) != self._metadata[number]:
                wrong.append(f"tensor at position {number}:\nsaved metadata: {_told(self._metadata[number])}\n"
                             f"recomputed metadata: {_told(_metadata_of(t))}")  # fmt: skip
            if self._holders[number]() is not None:
                self._values[number] = t
            if self._early_stop and seen == expected:
                raise _Done
            return t

        every = list(self._others)
        for i, t in zip(self._places, self._kept.tensors(), strict=True):
            every[i] = t
        count = len(every) - len(self._keys)
        kwargs = dict(zip(self._keys, every[count:], strict=True))
        try:
            random_numbers, hooks = (
                _same_random_numbers(self._random),
                saved_tensors_hooks(pack, lambda kept: kept),
            )
            with random_numbers, enable_grad(), self._context, hooks:
                self._function(*every[:count], **kwargs)
        except _Done:
            pass
        if seen < expected:
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {expected}\n"
                f"Number of tensors saved during recomputation: {seen}."
            )
        if wrong:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during the "
                "forward pass.\n" + "\n".join(wrong) + "."
            )


def _metadata_of(t: Tensor) -> tuple[Any, ...]:
    return tuple(t.shape), t.dtype, str(t.device)


def _told(metadata: tuple[Any, ...]) -> str:
    return "{" + ", ".join(f"'{k}': {v}" for k, v in zip(("shape", "dtype", "device"), metadata, strict=True)) + "}"  # fmt: skip


@contextmanager
def _same_random_numbers(state: Any) -> Iterator[None]:
    """Within, random numbers go on from `state`; None: from where they are."""
    if state is None:
        yield
        return
    with random.drawing_from(random.Generator().set_state(state)):
        yield


class CheckpointFunction(Function):
    """checkpoint with use_reentrant=True: its backward runs the function again and a backward pass within."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
        ctx.run_function = run_function
        ctx.random = random.current().get_state() if preserve_rng_state else None
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        from ..autograd import backward

        if grad_state.capturing:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        if is_grad_enabled():
            raise RuntimeError(
                "When use_reentrant=True, the gradients of torch.utils.checkpoint can't be differentiated again "
                "(create_graph=True); set use_reentrant=False."
            )
        args = list(ctx.others)
        for place, t in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[place] = t.detach().requires_grad_(ctx.needs_input_grad[place + 2])
        with _same_random_numbers(ctx.random), enable_grad():
            outputs = ctx.run_function(*args)
        pairs = [
            (o, g)
            for o, g in zip(outputs if isinstance(outputs, tuple) else (outputs,), grads, strict=True)
            if isinstance(o, Tensor) and o.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *[a.grad if isinstance(a, Tensor) else None for a in args])
