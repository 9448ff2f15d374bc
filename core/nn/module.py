"""Module: a tree of parameters, buffers and children, with PyTorch's names and orders."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ..backends import Device
from ..dtypes import dtype as DType
from ..grad_mode import no_grad
from ..tensor import RemovableHandle, Tensor, _to_target
from .parameter import Parameter

__all__ = ["Module"]

M = TypeVar("M", bound="Module")
_IncompatibleKeys = namedtuple("_IncompatibleKeys", "missing_keys unexpected_keys")  # type: ignore[misc]


class Module:
    """Base of all models and layers; see PyTorch's torch.nn.Module. Subclasses define `forward`."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        put = object.__setattr__
        put(self, "training", True)
        put(self, "_parameters", {})
        put(self, "_buffers", {})
        put(self, "_non_persistent_buffers", set())
        put(self, "_modules", {})
        put(self, "_forward_hooks", [])
        put(self, "_forward_pre_hooks", [])

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for pre in self.__dict__["_forward_pre_hooks"]:
            replaced = pre(self, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
        result = self.forward(*args, **kwargs)
        for hook in self.__dict__["_forward_hooks"]:
            replaced = hook(self, args, result)
            if replaced is not None:
                result = replaced
        return result

    def register_forward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, args, output) after forward; a returned value replaces the output."""
        hooks = self.__dict__["_forward_hooks"]
        hooks.append(hook)
        return RemovableHandle(hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, args) before forward; a returned value replaces the arguments."""
        hooks = self.__dict__["_forward_pre_hooks"]
        hooks.append(hook)
        return RemovableHandle(hooks, hook)

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_modules" not in own:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(f"cannot assign {type(value).__name__} before Module.__init__() call")
            object.__setattr__(self, name, value)
            return
        stores = (own["_parameters"], own["_modules"], own["_buffers"])
        if isinstance(value, Parameter):
            target = stores[0]
        elif isinstance(value, Module):
            target = stores[1]
        elif name in stores[0] and value is not None:
            raise TypeError(
                f"cannot assign '{type(value).__name__}' as parameter '{name}' (torch.nn.Parameter or None expected)"
            )
        elif name in stores[0] or name in stores[1] or name in stores[2]:
            if name in stores[1] and value is not None:
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            if name in stores[2] and value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' object to buffer '{name}' (torch.Tensor or None required)"
                )
            next(s for s in stores if name in s)[name] = value
            return
        else:
            object.__setattr__(self, name, value)
            return
        for store in stores:
            if store is not target:
                store.pop(name, None)
        own.pop(name, None)
        target[name] = value

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for store in ("_parameters", "_buffers", "_modules"):
            if store in own and name in own[store]:
                return own[store][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for store in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__[store]:
                del self.__dict__[store][name]
                return
        object.__delattr__(self, name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        self._registrable(name)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that is state but not trained; a non-persistent one is left out of state_dict."""
        self._registrable(name)
        self._buffers[name] = tensor
        if not persistent:
            self.__dict__["_non_persistent_buffers"].add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        self._registrable(name)
        self._modules[name] = module

    register_module = add_module

    def _registrable(self, name: str) -> None:
        if "." in name or not name:
            raise KeyError(f'a name can\'t be empty or contain ".", got {name!r}')
        if name in self.__dict__ or any(
            name in self.__dict__[s] for s in ("_parameters", "_buffers", "_modules")
        ):
            raise KeyError(f"attribute '{name}' already exists")

    # Walking

    def named_modules(self, memo: set[Any] | None = None, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, parents first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        return (m for _, m in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, each once, under the first of its names."""
        seen: set[int] = set()
        for name, child in self._modules.items():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def children(self) -> Iterator[Module]:
        return (m for _, m in self.named_children())

    def _named(self, store: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, value in module.__dict__[store].items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Each parameter once, under the first of its names."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        module: Module = self
        for part in target.split(".") if target else ():
            found = module._modules.get(part)
            if found is None:
                raise AttributeError(f"{type(module).__name__} has no attribute `{part}`")
            module = found
        return module

    # State

    def state_dict(self, prefix: str = "") -> OrderedDict[str, Tensor]:
        """Parameters and persistent buffers by dotted name, detached and sharing storage."""
        result: OrderedDict[str, Tensor] = OrderedDict()
        self._collect_state(result, prefix)
        return result

    def _collect_state(self, into: OrderedDict[str, Tensor], prefix: str) -> None:
        for name, p in self._parameters.items():
            if p is not None:
                into[prefix + name] = p.detach()
        for name, b in self._buffers.items():
            if b is not None and name not in self.__dict__["_non_persistent_buffers"]:
                into[prefix + name] = b.detach()
        for name, child in self._modules.items():
            if child is not None:
                child._collect_state(into, f"{prefix}{name}.")

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> Any:
        """Copies values by name. Raises RuntimeError listing every missing, unexpected or wrongly shaped key."""
        own = self.state_dict()
        missing = [k for k in own if k not in state_dict]
        unexpected = [k for k in state_dict if k not in own]
        problems = []
        if strict and unexpected:
            problems.append(
                "Unexpected key(s) in state_dict: " + ", ".join(f'"{k}"' for k in unexpected) + "."
            )
        if strict and missing:
            problems.append("Missing key(s) in state_dict: " + ", ".join(f'"{k}"' for k in missing) + ".")
        for k, target in own.items():
            if k in state_dict and target.shape != state_dict[k].shape:
                problems.append(
                    f"size mismatch for {k}: copying a param with shape {state_dict[k].shape} from checkpoint, "
                    f"the shape in current model is {target.shape}."
                )
        if problems:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(problems)
            )
        with no_grad():
            for k, target in own.items():
                if k in state_dict:
                    target.copy_(state_dict[k])
        return _IncompatibleKeys(missing, unexpected)

    # Modes and moves

    def train(self: M, mode: bool = True) -> M:
        """Training mode for this module and all below it (dropout drops, batch norm learns)."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for m in self.modules():
            m.training = mode
        return self

    def eval(self: M) -> M:
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad = p.grad.detach().zero_()

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Moves and casts parameters and buffers in place; a dtype changes floating ones only."""
        to_dtype, device = _to_target(args, kwargs)
        if to_dtype is not None and not to_dtype.is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={to_dtype}"
            )
        for t in [*self.parameters(), *self.buffers()]:
            t._array = _moved(t, to_dtype, device)
            if t.grad is not None:
                t.grad._array = _moved(t.grad, to_dtype, device)
        return self

    def cpu(self: M) -> M:
        return self.to("cpu")

    def cuda(self: M, device: int | None = None) -> M:
        return self.to(Device("cuda", device))

    def float(self: M) -> M:
        from ..dtypes import float32

        return self.to(float32)

    def double(self: M) -> M:
        from ..dtypes import float64

        return self.to(float64)

    # Printing

    def extra_repr(self) -> str:
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = [f"({n}): " + repr(m).replace("\n", "\n  ") for n, m in self._modules.items()]
        if not lines:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}({extra}\n  " + "\n  ".join(lines) + "\n)"


def _moved(t: Tensor, to_dtype: DType | None, device: Device | None) -> Any:
    source = t.detach()
    if device is not None:
        source = source.to(device)
    return source.to(to_dtype)._array if to_dtype is not None and t.is_floating_point() else source._array
