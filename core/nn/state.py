"""What a module's state_dict holds and how one is loaded, with PyTorch's keys, order and messages."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import Any

from ..grad_mode import no_grad
from ..tensor import Tensor
from .parameter import Parameter

__all__ = ["EXTRA_STATE", "IncompatibleKeys", "collect", "load"]

EXTRA_STATE = "_extra_state"
_Keys = namedtuple("_Keys", "missing_keys unexpected_keys")  # type: ignore[misc]


class IncompatibleKeys(_Keys):
    """What load_state_dict returns: names that the state lacked, and names that it had too many."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


def collect(module: Any, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """Writes the state of `module` and all below it into `destination`."""
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = {"version": module._version}
    for hook in module._state_dict_pre_hooks:
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in module._state_dict_hooks:
        replaced = hook(module, destination, prefix, {"version": module._version})
        if replaced is not None:
            destination = replaced
    return destination


def own_state(module: Any) -> dict[str, Tensor]:
    """The module's own parameters and persistent buffers."""
    transient = module._non_persistent_buffers_set
    named = [*module._parameters.items(), *((n, b) for n, b in module._buffers.items() if n not in transient)]
    return {name: value for name, value in named if value is not None}


def load(module: Any, state: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """Copies (or with `assign` takes over) the tensors of `state`; an error tells all that does not fit at once."""
    if not isinstance(state, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state)}.")
    metadata = getattr(state, "_metadata", None)
    state = OrderedDict(state)
    missing: list[str] = []
    unexpected: list[str] = []
    problems: list[str] = []

    def below(m: Any, prefix: str) -> None:
        local = {} if metadata is None else metadata.get(prefix[:-1], {})
        if assign:
            local = {**local, "assign_to_params_buffers": True}
        m._load_from_state_dict(state, prefix, local, True, missing, unexpected, problems)
        for name, child in m._modules.items():
            if child is not None:
                below(child, f"{prefix}{name}.")
        keys = IncompatibleKeys(missing, unexpected)
        for hook in m._load_state_dict_post_hooks:
            if hook(m, keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, "
                    "if incompatible_keys need to be modified, it should be done inplace."
                )

    below(module, "")
    if strict:
        for what, names in (("Unexpected", unexpected), ("Missing", missing)):
            if names:
                listed = ", ".join(f'"{n}"' for n in names)
                problems.insert(0, f"{what} key(s) in state_dict: {listed}. ")
    if problems:
        raise RuntimeError(
            "Error(s) in loading state_dict for {}:\n\t{}".format(module._get_name(), "\n\t".join(problems))
        )
    return IncompatibleKeys(missing, unexpected)


def load_own(
    module: Any,
    state: Any,
    prefix: str,
    local: Any,
    strict: bool,
    missing: Any,
    unexpected: Any,
    problems: Any,
) -> None:
    """Loads the module's own part of `state`, whose keys start with `prefix`; notes what does not fit."""
    for hook in module._load_state_dict_pre_hooks:
        hook(module, state, prefix, local, strict, missing, unexpected, problems)
    assign = local.get("assign_to_params_buffers", False)
    mine = own_state(module)
    for name, target in mine.items():
        key = prefix + name
        if key not in state:
            if strict:
                missing.append(key)
            continue
        value = state[key]
        if not isinstance(value, Tensor):
            problems.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint but '
                f"received {type(value)}"
            )
            continue
        if target.ndim == 0 and value.ndim == 1 and value.shape[0] == 1:
            value = value[0]  # what PyTorch 0.3 wrote for a number
        if value.shape != target.shape:
            problems.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                f"the shape in current model is {target.shape}."
            )
            continue
        with no_grad():
            if assign:
                _assign(module, name, target, value)
            else:
                target.copy_(value)
    extra = prefix + EXTRA_STATE
    if type(module).set_extra_state is not type(module)._no_extra_state_setter:
        if extra in state:
            module.set_extra_state(state[extra])
        elif strict:
            missing.append(extra)
    elif strict and extra in state:
        unexpected.append(extra)
    if strict:
        for key in state:
            if key.startswith(prefix) and key != extra:
                name, *rest = key[len(prefix) :].split(".")
                if (rest and name not in module._modules) or (not rest and name not in mine):
                    unexpected.append(key)


def _assign(module: Any, name: str, target: Tensor, value: Tensor) -> None:
    if isinstance(target, Parameter):
        if not isinstance(value, Parameter):
            value = Parameter(value, requires_grad=target.requires_grad)
        else:
            value.requires_grad_(target.requires_grad)
    setattr(module, name, value)
