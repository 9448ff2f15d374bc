"""Module: a tree of parameters, buffers and children, with PyTorch's names and orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .. import dtypes
from ..backends import Device
from ..casts import target_of
from ..dtypes import dtype as DType
from ..functions.matrix import SCALAR_NAMES
from ..tensor import RemovableHandle, Tensor
from .errors import name_place
from .hooks import BackwardHooks, ForwardHook, register, with_arguments, with_output
from .parameter import Buffer, Parameter
from .state import EXTRA_STATE, IncompatibleKeys, collect, load, load_own, own_state

__all__ = ["Module", "type_name"]

M = TypeVar("M", bound="Module")
_STORES = ("_parameters", "_buffers", "_modules")


class Module:
    """Base of all models and layers; see PyTorch's torch.nn.Module. Subclasses define `forward`."""

    _version = 1
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _forward_hooks: list[ForwardHook]
    _forward_pre_hooks: list[ForwardHook]
    _backward_hooks: list[Any]
    _backward_pre_hooks: list[Any]
    _state_dict_hooks: list[Any]
    _state_dict_pre_hooks: list[Any]
    _load_state_dict_pre_hooks: list[Any]
    _load_state_dict_post_hooks: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
            )
        if args:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        own = self.__dict__
        own["training"] = True
        own["_parameters"], own["_buffers"], own["_modules"] = {}, {}, {}
        own["_non_persistent_buffers_set"] = set()
        for kind in (
            "forward", "forward_pre", "backward", "backward_pre", "state_dict", "state_dict_pre",
            "load_state_dict_pre", "load_state_dict_post",
        ):  # fmt: skip
            own[f"_{kind}_hooks"] = []

    # Calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        own = self.__dict__
        try:
            if (
                own["_forward_hooks"]
                or own["_forward_pre_hooks"]
                or own["_backward_hooks"]
                or own["_backward_pre_hooks"]
            ):
                return self._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except KeyError as e:
            if e.args and e.args[0] == "_forward_hooks" and "_forward_hooks" not in own:
                raise AttributeError(
                    f"{type(self).__name__}: call super().__init__() first in the module's __init__"
                ) from None
            raise
        except Exception as e:
            name_place(self, e)
            raise

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        after = tuple(self._forward_hooks)
        called: list[ForwardHook] = []
        try:
            args, kwargs = with_arguments(self, self._forward_pre_hooks, args, kwargs)
            gates = None
            if self._backward_hooks or self._backward_pre_hooks:
                gates = BackwardHooks(self, self._backward_pre_hooks, self._backward_hooks)
                args = gates.around_inputs(args)
            output = self.forward(*args, **kwargs)
            for hook in after:
                called.append(hook)
                output = with_output(self, [hook], args, kwargs, output)
            return output if gates is None else gates.around_outputs(output)
        except Exception:
            with_output(self, [h for h in after if h.always and h not in called], args, kwargs, None)
            raise

    # Hooks

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Calls hook(module, args, output) after forward; a returned value replaces the output."""
        return register(self._forward_hooks, ForwardHook(hook, with_kwargs, always_call), prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls hook(module, args) before forward; a returned value replaces the arguments."""
        return register(self._forward_pre_hooks, ForwardHook(hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls hook(module, grad_input, grad_output) once the inputs' gradients are known; may replace grad_input."""
        return register(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls hook(module, grad_output) once the outputs' gradients are known; may replace them."""
        return register(self._backward_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, state_dict, prefix, local_metadata) when the module's part of a state has been written."""

        def call(module: Any, state: Any, prefix: str, local: Any) -> None:
            if hook(module, state, prefix, local) is not None:
                raise RuntimeError("state_dict post-hook must return None")

        return register(self._state_dict_hooks, call)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, prefix, keep_vars) before the module's part of a state is written."""
        return register(self._state_dict_pre_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)."""
        return register(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, incompatible_keys) after loading; it may change the two lists in place."""
        return register(self._load_state_dict_post_hooks, hook)

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_modules" not in own:
            if isinstance(value, (Parameter, Module, Buffer)):
                kind = "module" if isinstance(value, Module) else "parameters"
                kind = "buffer" if isinstance(value, Buffer) else kind
                raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
            object.__setattr__(self, name, value)
            return
        stores = (own["_parameters"], own["_modules"], own["_buffers"])
        if isinstance(value, Parameter):
            target = stores[0]
        elif isinstance(value, Module):
            target = stores[1]
        elif isinstance(value, Buffer):
            target = stores[2]
            transient = own["_non_persistent_buffers_set"]
            (transient.discard if value.persistent else transient.add)(name)
        elif name in stores[0] or name in stores[1] or name in stores[2]:
            self._replace(name, value, stores)
            return
        else:
            object.__setattr__(self, name, value)
            return
        for store in stores:
            if store is not target:
                store.pop(name, None)
        own.pop(name, None)
        target[name] = value

    def _replace(self, name: str, value: Any, stores: tuple[Any, ...]) -> None:
        """Puts what is no Parameter and no Module in the place of a registered `name`."""
        kinds = ("as parameter '{}' (torch.nn.Parameter or None expected)", "as child module '{}' (torch.nn.Module or None expected)",
                 "as buffer '{}' (torch.nn.Buffer, torch.Tensor or None expected)")  # fmt: skip
        for number, (store, kind) in enumerate(zip(stores, kinds, strict=True)):
            if name in store:
                if value is not None and not (number == 2 and isinstance(value, Tensor)):
                    raise TypeError(f"cannot assign '{type_name(value)}' {kind.format(name)}")
                store[name] = value
                return

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for store in _STORES:
            if store in own and name in own[store]:
                return own[store][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for store in _STORES:
            if name in self.__dict__[store]:
                del self.__dict__[store][name]
                self.__dict__["_non_persistent_buffers_set"].discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        own = self.__dict__
        names = {*dir(type(self)), *own, *(n for s in _STORES for n in own.get(s, ()))}
        return sorted(n for n in names if not n[:1].isdigit())

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        self._registrable("parameter", name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type_name(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that is state but not trained; a non-persistent one is left out of state_dict."""
        self._registrable("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type_name(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(
            name
        )

    def add_module(self, name: str, module: Module | None) -> None:
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type_name(module)} is not a Module subclass")
        self._registrable("module", name, "_modules")
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as add_module."""
        self.add_module(name, module)

    def _registrable(self, kind: str, name: str, store: str) -> None:
        """Raises where `name` can't be that of a new parameter, buffer or module."""
        if "_modules" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            what = "module name" if kind == "module" else f"{kind} name"
            raise TypeError(f"{what} should be a string. Got {type_name(name)}")
        if name not in self.__dict__[store] and (
            name in self.__dict__
            or any(name in self.__dict__[s] for s in _STORES)
            or hasattr(type(self), name)
        ):
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(
                f'module name can\'t contain ".", got: {name}'
                if kind == "module"
                else f'{kind} name can\'t contain "."'
            )
        if not name:
            raise KeyError(
                'module name can\'t be empty string ""'
                if kind == "module"
                else f'{kind} name can\'t be empty string ""'
            )

    # Walking

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once (unless remove_duplicate is False), parents first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

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

    def _named(self, store: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        walk = self.named_modules(prefix=prefix, remove_duplicate=once) if recurse else [(prefix, self)]
        for path, module in walk:
            for name, value in module.__dict__[store].items():
                if value is not None and id(value) not in seen:
                    if once:
                        seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Each parameter once, under the first of its names (remove_duplicate=False: under each of them)."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; "" is this one. Raises AttributeError where there is none."""
        module: Module = self
        for part in target.split(".") if target else ():
            if not hasattr(module, part):
                raise AttributeError(f"{module._get_name()} has no attribute `{part}`")
            module = getattr(module, part)
            if not isinstance(module, Module):
                raise AttributeError(f"`{part}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts `module` at a dotted path; strict: only in the place of another."""
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not isinstance(getattr(parent, name, None), Module):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. Raises AttributeError where there is none."""
        found = self._found(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{target.rpartition('.')[2]}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. Raises AttributeError where there is none."""
        path, _, name = target.rpartition(".")
        found = self._found(target)
        if name not in self.get_submodule(path)._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found  # type: ignore[no-any-return]

    def _found(self, target: str) -> Any:
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        return getattr(parent, name)

    # State

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers by dotted name, detached (unless keep_vars) and sharing storage."""
        return collect(self, destination, prefix, keep_vars)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in own_state(self).items():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copies values by name (assign: takes the tensors over). Raises RuntimeError that lists all that does not fit."""
        return load(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,
        missing_keys: Any, unexpected_keys: Any, error_msgs: Any,
    ) -> None:  # fmt: skip
        load_own(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

    def get_extra_state(self) -> Any:
        """What a subclass keeps in a state_dict besides tensors."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called: define it in the subclass."
        )

    def set_extra_state(self, state: Any) -> None:
        """Takes back what get_extra_state gave."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called: define it in the subclass."
        )

    _no_extra_state_setter = set_extra_state

    # Modes and moves

    def train(self: M, mode: bool = True) -> M:
        """Training mode for this module and all below it (dropout drops, batch norm learns)."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
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

    def _apply(self: M, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> M:
        """Puts fn(tensor) in the place of every parameter's, gradient's and buffer's values."""
        if recurse:
            for child in self.children():
                child._apply(fn)
        for t in (*self._parameters.values(), *self._buffers.values()):
            if t is not None:
                t._array = fn(t.detach())._array
                if t.grad is not None:
                    t.grad._array = fn(t.grad.detach())._array
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Moves and casts parameters and buffers in place; a dtype changes floating ones only."""
        to_dtype, device, _, _ = target_of(args, kwargs)
        if to_dtype is not None and not to_dtype.is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={to_dtype}"
            )
        return self._apply(lambda t: _moved(t, to_dtype, device))

    def cpu(self: M) -> M:
        return self.to("cpu")

    def cuda(self: M, device: int | None = None) -> M:
        return self.to(Device("cuda", device))

    def type(self: M, dst_type: DType) -> M:
        return self._apply(lambda t: t.to(dst_type))

    def float(self: M) -> M:
        return self.to(dtypes.float32)

    def double(self: M) -> M:
        return self.to(dtypes.float64)

    def half(self: M) -> M:
        return self.to(dtypes.float16)

    # Printing

    def extra_repr(self) -> str:
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr().split("\n") if self.extra_repr() else []
        children = [f"({n}): " + repr(m).replace("\n", "\n  ") for n, m in self._modules.items()]
        lines = extra + children
        if not lines:
            return f"{self._get_name()}()"
        if len(extra) == 1 and not children:
            return f"{self._get_name()}({extra[0]})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


def type_name(value: Any) -> str:
    """PyTorch's name of a value's type: torch.FloatTensor and its kin for tensors."""
    if isinstance(value, Tensor):
        return f"torch{'.cuda' * (value.device.type == 'cuda')}.{SCALAR_NAMES[value.dtype.name]}Tensor"
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _moved(t: Tensor, to_dtype: DType | None, device: Device | None) -> Tensor:
    moved = t if device is None else t.to(device)
    return moved.to(to_dtype) if to_dtype is not None and t.is_floating_point() else moved
