"""vmap: a function of one sample, for a whole batch.

The function runs once for each sample, and the results are stacked: what vmap promises of values, gradients and random
numbers, at the speed of a loop. So a function may also branch on a sample's values.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import random, versions
from ..tensor import Tensor
from .transforms import _check_randomness
from .trees import build, flatten, spread

__all__ = ["vmap"]


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function that maps `func` over one dimension of its arguments, and stacks what it returns.

    in_dims: that dimension, for all arguments or in a tuple like them; None for an argument that each sample gets whole.
    out_dims: where it goes in the results. randomness: "error" refuses random numbers, "different" draws anew for each
    sample, "same" gives each sample the same ones. Keyword arguments are passed on whole. chunk_size: accepted.
    A storage that several samples write in place is refused, unless it is the mapped argument's.
    """
    _check_randomness(randomness)
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        name = getattr(func, "__name__", repr(func))
        if not all(d is None or _is_int(d) for d in flatten(out_dims)[0]):
            raise ValueError(
                f"vmap({name}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints "
                "representing where in the outputs the vmapped dimension should appear."
            )
        leaves, dims, shape, size = _mapped(name, in_dims, args)
        mapped = [x._array for x, d in zip(leaves, dims, strict=True) if d is not None]
        results: list[list[Any]] = []
        out_shape: Any = None
        with _random(randomness) as next_sample, _writes_watched(mapped) as next_writes:
            for i in range(size):
                next_sample()
                next_writes()
                sample = [x if d is None else x.select(d, i) for x, d in zip(leaves, dims, strict=True)]
                found, found_shape = flatten(func(*build(sample, shape), **kwargs))
                if out_shape is not None and found_shape != out_shape:
                    raise RuntimeError(
                        f"vmap({name}, ...): `{name}` returned {found_shape} for one sample and {out_shape} for another"
                    )
                out_shape = found_shape
                results.append(found)
        return build(_stacked(name, results, out_dims, out_shape), out_shape)

    return wrapper


def _is_int(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def _mapped(name: str, in_dims: Any, args: tuple[Any, ...]) -> tuple[list[Any], list[Any], Any, int]:
    """The leaves of the arguments, the dimension each is mapped over, their tree, and the size of the batch."""
    call = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): "
    if not _is_int(in_dims) and not isinstance(in_dims, tuple):
        raise ValueError(
            f"{call}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
            "function with no inputs. The latter is unsupported."
        )
    leaves, shape = flatten(args)
    dims = spread(in_dims, shape)
    if dims is None:
        raise ValueError(
            f"{call}in_dims is not compatible with the structure of `inputs`. in_dims has structure {flatten(in_dims)[1]} "
            f"but inputs has structure {shape}."
        )
    sizes = []
    for i, (x, d) in enumerate(zip(leaves, dims, strict=True)):
        if d is None:
            continue
        if not _is_int(d):
            raise ValueError(
                f"{call}Got in_dim={d} for an input but in_dim must be either an integer dimension or None."
            )
        if not isinstance(x, Tensor):
            raise ValueError(
                f"{call}Got in_dim={d} for an input but the input is of type {type(x)}. We cannot vmap over non-Tensor "
                "arguments, please use None as the respective in_dim"
            )
        if not -x.ndim <= d < x.ndim:
            raise ValueError(
                f"{call}Got in_dim={d} for some input, but that input is a Tensor of dimensionality {x.ndim} so expected "
                f"in_dim to satisfy -{x.ndim} <= in_dim < {x.ndim}."
            )
        dims[i] = d % x.ndim
        sizes.append(x.shape[d])
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(s != sizes[0] for s in sizes):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped dimension"
        )
    if not sizes[0]:
        raise NotImplementedError(
            f"{call}a batch of no samples: the function runs once for each, so that the shapes of its results are not known"
        )
    return leaves, dims, shape, sizes[0]


def _stacked(name: str, results: list[list[Any]], out_dims: Any, out_shape: Any) -> list[Any]:
    from ..functions import stack

    dims = spread(out_dims, out_shape)
    if dims is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of `outputs`. "
            f"out_dims has structure {flatten(out_dims)[1]} but outputs has structure {out_shape}."
        )
    outputs = []
    for column, d in zip(zip(*results, strict=True), dims, strict=True):
        first = column[0]
        if d is None:
            if any(x is not first and (isinstance(x, Tensor) or x != first) for x in column):
                raise ValueError(
                    f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None"
                )
            outputs.append(first)
            continue
        for x in column:
            if not isinstance(x, Tensor):
                raise ValueError(
                    f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(x)}. "
                    "Did you mean to set out_dims= to None for output?"
                )
        if not -first.ndim - 1 <= d <= first.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-first.ndim - 1}, {first.ndim}], but got {d})"
            )
        outputs.append(stack(column, d))
    return outputs


class _Refusing:
    """Stands for the generator where random numbers are refused."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
            "randomness flags on vmap or perform the randomness operation out of vmap"
        )


@contextmanager
def _random(randomness: str) -> Iterator[Callable[[], None]]:
    """Within, what is yielded is called before each sample, and random numbers are as `randomness` says."""
    if randomness == "different":
        yield lambda: None
    elif randomness == "same":
        generator = random.current()
        state = generator.get_state()

        def again() -> None:
            generator.set_state(state)

        yield again
    else:
        with random.drawing_from(_Refusing()):
            yield lambda: None


@contextmanager
def _writes_watched(mapped: list[Any]) -> Iterator[Callable[[], None]]:
    """Within, a storage that is written in place in one sample and again in a later one is refused."""
    allowed = [versions.owner_of(a) for a in mapped]
    before: dict[int, Any] = {}
    now: dict[int, Any] = {}

    def note(owner: Any) -> None:
        if any(owner is a for a in allowed):
            return
        held = before.get(id(owner))
        if held is not None and held() is owner:
            raise RuntimeError(
                "vmap: inplace arithmetic is not possible on a tensor that all samples share: each would overwrite what the "
                "one before has left. Return the value instead, or map over that tensor."
            )
        now[id(owner)] = weakref.ref(owner)

    def next_sample() -> None:
        before.update(now)
        now.clear()

    with versions.telling_writes(note):
        yield next_sample
