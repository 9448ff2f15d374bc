"""Modules as functions of their parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..nn.module import Module
from ..nn.modules.batchnorm import _BatchNorm
from ..tensor import Tensor

__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]

Tensors = dict[str, Tensor]


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """What `module` returns with these tensors in place of its parameters and buffers of those names.

    args: the arguments, in a tuple where they are several. tie_weights: a tensor for one name of a shared parameter is used
    under all its names. strict: raises RuntimeError unless each parameter and buffer is given, and nothing else.
    """
    given = _merged(parameter_and_buffer_dicts)
    for value in given.values():
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{value} is not an instance of torch.Tensor")
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    tensors = _tied(module, given) if tie_weights else dict(given)
    if strict:
        _check_names(module, tensors)
    with _replaced(module, tensors) as after:
        result = module(*args, **(kwargs or {}))
    if isinstance(parameter_and_buffer_dicts, dict):
        parameter_and_buffer_dicts.update({k: after[k] for k in parameter_and_buffer_dicts if k in after})
    return result


def stack_module_state(models: Sequence[Module]) -> tuple[Tensors, Tensors]:
    """The parameters and the buffers of modules of one class, each stacked over the modules along a new first dimension."""
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(m.training != models[0].training for m in models):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return tuple({k: _stacked_leaf([p[k] for p in one], k) for k in one[0]} for one in (parameters, buffers))  # type: ignore[return-value]


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Has every batch norm of `root` use the statistics of its batch alone, which vmap needs; returns `root`."""
    for m in root.modules():
        if isinstance(m, _BatchNorm) and m.track_running_stats:
            m.running_mean = m.running_var = m.num_batches_tracked = None
            m.track_running_stats = False
    return root


def _stacked_leaf(tensors: list[Tensor], name: str) -> Tensor:
    from ..functions import stack

    if any(t.requires_grad != tensors[0].requires_grad for t in tensors):
        raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
    stacked = stack([t.detach() for t in tensors])
    return stacked.requires_grad_() if tensors[0].requires_grad else stacked


def _merged(dicts: Any) -> Mapping[str, Tensor]:
    if isinstance(dicts, Mapping):
        return dicts
    if not isinstance(dicts, Sequence) or isinstance(dicts, str):
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(dicts)}"
        )
    if not all(isinstance(d, Mapping) for d in dicts):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    names = [k for d in dicts for k in d]
    repeated = [k for k in dict.fromkeys(names) if names.count(k) > 1]
    if repeated:
        raise ValueError(
            f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous"
        )
    return {k: v for d in dicts for k, v in d.items()}


def _all_names(module: Module) -> dict[int, list[str]]:
    """The names of each parameter and buffer, by its identity."""
    names: dict[int, list[str]] = {}

    def walk(m: Module, prefix: str, above: tuple[int, ...]) -> None:
        for store in (m._parameters, m._buffers):
            for name, t in store.items():
                if t is not None:
                    names.setdefault(id(t), []).append(prefix + name)
        for name, child in m._modules.items():
            if child is not None and id(child) not in above:
                walk(child, f"{prefix}{name}.", (*above, id(child)))

    walk(module, "", (id(module),))
    return names


def _tied(module: Module, given: Mapping[str, Tensor]) -> Tensors:
    result = dict(given)
    for names in _all_names(module).values():
        values = [given[n] for n in names if n in given]
        if len(names) == 1 or not values:
            continue
        if any(v is not values[0] for v in values):
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(n for n in names if n in given)}, which are tied. "
                "Consider using tie_weights=False"
            )
        result.update(dict.fromkeys(names, values[0]))
    return result


def _check_names(module: Module, tensors: Tensors) -> None:
    known = [n for names in _all_names(module).values() for n in names]
    unexpected = [k for k in tensors if k not in known]
    missing = [k for k in known if k not in tensors]
    problems = []
    if unexpected:
        problems.append(f"Unexpected key(s): {', '.join(map(repr, unexpected))}.")
    if missing:
        problems.append(f"Missing key(s): {', '.join(map(repr, missing))}.")
    if problems:
        raise RuntimeError(
            f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(problems)
        )


@contextmanager
def _replaced(module: Module, tensors: Tensors) -> Iterator[Tensors]:
    """Within, the module has these tensors; after it, its own again, and what is yielded holds what stood in their places."""
    places: list[tuple[dict[str, Any], str, str]] = []
    for full in tensors:
        path, _, name = full.rpartition(".")
        owner = module.get_submodule(path)
        stores: tuple[dict[str, Any], ...] = (owner._parameters, owner._buffers)
        for store in stores:
            if name in store:
                places.append((store, name, full))
                break
        else:
            if hasattr(owner, name) and not isinstance(getattr(owner, name), Tensor):
                raise TypeError(f"{full} is not an instance of torch.Tensor")
            places.append((owner.__dict__, name, full))
    nothing = object()
    before: list[Any] = [store.get(name, nothing) for store, name, _ in places]
    after: Tensors = {}
    try:
        for store, name, full in places:
            store[name] = tensors[full]
        yield after
    finally:
        for (store, name, full), old in zip(places, before, strict=True):
            if name in store:
                after[full] = store[name]
            if old is nothing:
                store.pop(name, None)
            else:
                store[name] = old
