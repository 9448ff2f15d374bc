"""einsum: sums of products written with subscripts, carried out as a few matrix products."""

from __future__ import annotations

import string
from typing import Any

from ..tensor import Tensor
from .arguments import beside
from .arithmetic import mul
from .catalogue import public
from .matrix import diagonal_of, matmul
from .reduction import sum
from .shape import permute, reshape, squeeze

__all__ = ["einsum"]

_LETTERS = string.ascii_uppercase + string.ascii_lowercase  # subscript numbers 0 to 51, in PyTorch's order
_DOTS = -1  # stands for an ellipsis in a list of subscripts

Labels = tuple[int, ...]
Term = tuple[Tensor, Labels]


@public(method=False)
def einsum(*args: Any) -> Tensor:
    """einsum("ij,jk->ik", a, b), or with lists of subscript numbers: einsum(a, [0, 1], b, [1, 2], [0, 2]).

    An ellipsis stands for dimensions that broadcast; a subscript repeated in one operand is its diagonal; without "->"
    the result has what appears once, in alphabetical order, after the ellipsis. More than two operands are multiplied
    pair by pair, the cheapest first.
    """
    inputs, output, operands = _parsed(args)
    terms, sizes = _aligned(inputs, operands)
    wanted = _output(output, inputs, sizes)
    return _contracted(terms, wanted, sizes)


def _parsed(args: tuple[Any, ...]) -> tuple[list[list[int]], list[int] | None, list[Tensor]]:
    """Subscripts of every operand and of the output (None: left out), and the operands."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list"
        )
    if isinstance(args[0], Tensor):
        lists = [_from_list(s) for s in args[1::2]]
        operands = list(args[0::2])
        output = None
        if len(args) % 2:
            output = _from_list(operands.pop())
        return lists, output, _tensors(operands)
    equation, rest = args[0], args[1:]
    if not isinstance(equation, str):
        raise TypeError(
            f"einsum(): argument 'equation' (position 1) must be str, not {type(equation).__name__}"
        )
    if len(rest) == 1 and isinstance(rest[0], (list, tuple)):
        rest = tuple(rest[0])
    left, arrow, right = equation.partition("->")
    parts, start = [], 0
    for i, part in enumerate(left.split(",")):
        parts.append(_from_text(part, start, f"for operand {i}"))
        start += len(part) + 1
    result = _from_text(right, len(left) + 2, "in the output") if arrow else None
    if len(rest) != len(parts):
        which = "more" if len(rest) > len(parts) else "fewer"
        raise RuntimeError(f"einsum(): {which} operands were provided than specified in the equation")
    return parts, result, _tensors(list(rest))


def _tensors(operands: list[Any]) -> list[Tensor]:
    for i, t in enumerate(operands):
        if not isinstance(t, Tensor):
            raise TypeError(f"einsum(): expected a tensor as operand {i}, got {type(t).__name__}")
    return operands


def _from_text(text: str, start: int, where: str) -> list[int]:
    found: list[int] = []
    i = 0
    while i < len(text):
        c = text[i]
        if c == ".":
            if _DOTS in found:
                raise RuntimeError(f"einsum(): found '.' {where} for which an ellipsis was already found")
            if text[i : i + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' {where} that is not part of any ellipsis")
            found.append(_DOTS)
            i += 3
            continue
        if c != " ":
            if c not in _LETTERS:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {start + i} in the equation string, subscripts must be in [a-zA-Z]"
                )
            found.append(_LETTERS.index(c))
        i += 1
    return found


def _from_list(items: Any) -> list[int]:
    found = []
    for item in items:
        if item is Ellipsis:
            if _DOTS in found:
                raise RuntimeError("einsum(): found '.' for which an ellipsis was already found")
            found.append(_DOTS)
        elif isinstance(item, int) and 0 <= item < len(_LETTERS):
            found.append(item)
        else:
            raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return found


def _aligned(inputs: list[list[int]], operands: list[Tensor]) -> tuple[list[Term], dict[int, int]]:
    """Each operand with one label for each dimension, all of a label's size; and the sizes.

    Dimensions of an ellipsis get labels from -1 down, counted from the last. Diagonals are taken, and a dimension of
    size 1 that broadcasts is dropped.
    """
    sizes: dict[int, int] = {}
    terms: list[Term] = []
    for number, (subscripts, t) in enumerate(zip(inputs, operands, strict=True)):
        named = len(subscripts) - (_DOTS in subscripts)
        if named > t.ndim or (named < t.ndim and _DOTS not in subscripts):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) "
                f"{'is more than' if named > t.ndim else 'does not match'} the number of dimensions ({t.ndim}) for operand {number}"
                + ("" if _DOTS in subscripts else " and no ellipsis was given")
            )
        labels: list[int] = []
        for s in subscripts:
            labels += range(named - t.ndim, 0) if s == _DOTS else [s]
        t, labels = _diagonals(t, labels, number)
        for label, n in zip(labels, t._array.shape, strict=True):
            known = sizes.get(label, 1)
            if n != known and 1 not in (n, known):
                raise RuntimeError(
                    f"einsum(): subscript {_named(label)} has size {n} for operand {number} which does not broadcast with "
                    f"previously seen size {known}"
                )
            sizes[label] = n if known == 1 else known
        terms.append((t, tuple(labels)))
    for i, (t, given) in enumerate(terms):
        narrow = [d for d, label in enumerate(given) if t._array.shape[d] != sizes[label]]
        if narrow:
            terms[i] = (
                squeeze(t, narrow),
                tuple(label for d, label in enumerate(given) if d not in narrow),
            )
    return terms, sizes


def _named(label: int) -> str:
    return _LETTERS[label] if label >= 0 else "..."


def _diagonals(t: Tensor, labels: list[int], number: int) -> tuple[Tensor, list[int]]:
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            n, k = t._array.shape[i], t._array.shape[j]
            if n != k:
                raise RuntimeError(
                    f"einsum(): subscript {_named(label)} is repeated for operand {number} but the sizes don't match, {k} != {n}"
                )
            rest = [d for d in range(t.ndim) if d not in (i, j)]
            t = diagonal_of(permute(t, *rest, i, j))
            labels = [labels[d] for d in rest] + [label]
    return t, labels


def _output(output: list[int] | None, inputs: list[list[int]], sizes: dict[int, int]) -> Labels:
    dots = sorted(label for label in sizes if label < 0)
    if output is None:
        seen = [s for subscripts in inputs for s in subscripts if s != _DOTS]
        return (*dots, *sorted(s for s in set(seen) if seen.count(s) == 1))
    wanted: list[int] = []
    for s in output:
        if s == _DOTS:
            wanted += dots
            continue
        if s not in sizes:
            raise RuntimeError(
                f"einsum(): output subscript {_named(s)} does not appear in the equation for any input operand"
            )
        if s in wanted:
            raise RuntimeError(f"einsum(): output subscript {_named(s)} appears more than once in the output")
        wanted.append(s)
    return tuple(wanted)


def _contracted(terms: list[Term], wanted: Labels, sizes: dict[int, int]) -> Tensor:
    terms = list(terms)
    while len(terms) > 1:
        i, j = _cheapest(terms, sizes)
        b, a = terms.pop(j), terms.pop(i)
        later = set(wanted).union(*(labels for _, labels in terms))
        terms.insert(i, _pair(_summed(a, later | set(b[1])), _summed(b, later | set(a[1])), later, sizes))
    t, labels = _summed(terms[0], set(wanted))
    missing = [label for label in wanted if label not in labels]  # of size 1 everywhere
    t = reshape(t, *t._array.shape, *(1 for _ in missing)) if missing else t
    labels += tuple(missing)
    order = [labels.index(label) for label in wanted]
    return permute(t, *order) if order != sorted(order) else t


def _cheapest(terms: list[Term], sizes: dict[int, int]) -> tuple[int, int]:
    """The pair whose product takes the fewest multiplications; of several the first."""
    best: tuple[int, int, int] | None = None
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            cost = 1
            for label in {*terms[i][1], *terms[j][1]}:
                cost *= sizes[label]
            if best is None or cost < best[0]:
                best = (cost, i, j)
    assert best is not None
    return best[1], best[2]


def _summed(term: Term, kept: set[int]) -> Term:
    """The term summed over what nobody asks for any more."""
    t, labels = term
    dims = [d for d, label in enumerate(labels) if label not in kept]
    if not dims:
        return term
    return sum(t, dims), tuple(label for label in labels if label in kept)


def _pair(a: Term, b: Term, later: set[int], sizes: dict[int, int]) -> Term:
    """The product of two terms, summed over the labels both have that are not in `later`."""
    (x, la), (y, lb) = a, b
    shared = [label for label in la if label in lb]
    gone = [label for label in shared if label not in later]
    batch = [label for label in shared if label in later]
    left = [label for label in la if label not in lb]
    right = [label for label in lb if label not in la]
    if not gone:  # nothing to sum: an elementwise product, with its promotion of dtypes
        order = (*batch, *left, *right)
        x = _shaped(x, la, (*batch, *left), [sizes[s] for s in (*batch, *left)] + [1] * len(right))
        y = _shaped(
            y, lb, (*batch, *right), [sizes[s] for s in batch] + [1] * len(left) + [sizes[s] for s in right]
        )
        return mul(x, y), order
    n, k, m = _count(left, sizes), _count(gone, sizes), _count(right, sizes)
    lead = [_count(batch, sizes)] if batch else []
    out = matmul(
        _shaped(x, la, (*batch, *left, *gone), [*lead, n, k]), _shaped(beside(y, x, y.dtype), lb, (*batch, *gone, *right), [*lead, k, m])
    )  # fmt: skip
    order = (*batch, *left, *right)
    return reshape(out, [sizes[s] for s in order]), order


def _count(labels: list[int], sizes: dict[int, int]) -> int:
    n = 1
    for label in labels:
        n *= sizes[label]
    return n


def _shaped(t: Tensor, labels: Labels, order: Labels, shape: list[int]) -> Tensor:
    """`t` with its dimensions in `order`, in another shape."""
    dims = [labels.index(label) for label in order]
    if dims != sorted(dims):
        t = permute(t, *dims)
    return t if list(t._array.shape) == shape else reshape(t, shape)
