"""Layers that learn their number of inputs from the first one; from then on they are the ordinary layers."""

from __future__ import annotations

from typing import Any, ClassVar

from ...creation import tensor
from ...dtypes import int64
from ...tensor import Tensor
from ..module import Module
from ..parameter import UninitializedBuffer, UninitializedParameter
from .batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _NormBase,
)
from .convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from .linear import Linear

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d",
    "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyLinear",
]  # fmt: skip


_UNINITIALIZED = (UninitializedParameter, UninitializedBuffer)


class _Lazy(Module):
    """Becomes `becomes` at the first call."""

    becomes: ClassVar[type[Module]]

    def has_uninitialized_params(self) -> bool:
        return any(
            isinstance(p, _UNINITIALIZED) for p in (*self._parameters.values(), *self._buffers.values())
        )

    def initialize_parameters(self, input: Tensor) -> None:
        """Gives the parameters the shapes that `input` asks for, and their initial values."""
        raise NotImplementedError(
            f"{type(self).__name__} does not say how its parameters get their shapes: write initialize_parameters"
        )

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params():
            self.becomes.reset_parameters(self)  # type: ignore[attr-defined]

    def forward(self, input: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.initialize_parameters(input)
        self.__class__ = self.becomes  # type: ignore[assignment]
        return self.forward(input, *args, **kwargs)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        for name, p in (*self._parameters.items(), *self._buffers.items()):
            value = state_dict.get(prefix + name)
            given = isinstance(value, Tensor) and not isinstance(value, _UNINITIALIZED)
            if isinstance(p, _UNINITIALIZED) and given:
                p.materialize(value.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _without_shapes(self, bias: bool, device: Any, dtype: Any) -> None:
        for name in ("weight", "bias") if bias else ("weight",):
            self._parameters[name] = UninitializedParameter(device=device, dtype=dtype)


class _LazyConv(_Lazy):
    def initialize_parameters(self, input: Tensor) -> None:
        n = self.n
        if input.ndim not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got input of size: "
                f"{input.shape}"
            )
        self.in_channels = input.shape[-n - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        if not self.has_uninitialized_params():
            return
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        self.weight.materialize((first, second // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class LazyLinear(_Lazy, Linear):
    """Linear whose in_features is the first input's last size."""

    becomes = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        self._without_shapes(bias, device, dtype)

    def initialize_parameters(self, input: Tensor) -> None:
        self.in_features = input.shape[-1]
        if not self.has_uninitialized_params():
            return
        self.weight.materialize((self.out_features, self.in_features))
        if self.bias is not None:
            self.bias.materialize((self.out_features,))
        self.reset_parameters()


class LazyConv1d(_LazyConv, Conv1d):
    """Conv1d whose in_channels is the first input's."""

    becomes = Conv1d

    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self.out_channels = out_channels
        self._without_shapes(bias, device, dtype)


class LazyConv2d(_LazyConv, Conv2d):
    """Conv2d whose in_channels is the first input's."""

    becomes = Conv2d

    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self.out_channels = out_channels
        self._without_shapes(bias, device, dtype)


class LazyConv3d(_LazyConv, Conv3d):
    """Conv3d whose in_channels is the first input's."""

    becomes = Conv3d

    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self.out_channels = out_channels
        self._without_shapes(bias, device, dtype)


class LazyConvTranspose1d(_LazyConv, ConvTranspose1d):
    """ConvTranspose1d whose in_channels is the first input's."""

    becomes = ConvTranspose1d

    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
        bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode
        )
        self.out_channels = out_channels
        self._without_shapes(bias, device, dtype)


class LazyConvTranspose2d(_LazyConv, ConvTranspose2d):
    """ConvTranspose2d whose in_channels is the first input's."""

    becomes = ConvTranspose2d

    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
        bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode
        )
        self.out_channels = out_channels
        self._without_shapes(bias, device, dtype)


class LazyConvTranspose3d(_LazyConv, ConvTranspose3d):
    """ConvTranspose3d whose in_channels is the first input's."""

    becomes = ConvTranspose3d

    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
        bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode
        )
        self.out_channels = out_channels
        self._without_shapes(bias, device, dtype)


class _LazyNorm(_Lazy, _NormBase):
    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        # The ordinary layer's place in the order of classes comes after this one's, and without features it makes nothing.
        super().__init__(0, eps, momentum, False, False)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self._without_shapes(bias, device, dtype)
        if track_running_stats:
            for name in ("running_mean", "running_var"):
                self._buffers[name] = UninitializedBuffer(device=device, dtype=dtype)
            self._buffers["num_batches_tracked"] = tensor(0, dtype=int64, device=device)

    def reset_parameters(self) -> None:
        if self.num_features and not self.has_uninitialized_params():
            _NormBase.reset_parameters(self)

    def initialize_parameters(self, input: Tensor) -> None:
        self._check_input_dim(input)
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        for p in (*self._parameters.values(), *self._buffers.values()):
            if isinstance(p, _UNINITIALIZED):
                p.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """BatchNorm1d whose num_features is the first input's number of channels."""

    becomes = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """BatchNorm2d whose num_features is the first input's number of channels."""

    becomes = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """BatchNorm3d whose num_features is the first input's number of channels."""

    becomes = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """InstanceNorm1d whose num_features is the first input's number of channels."""

    becomes = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """InstanceNorm2d whose num_features is the first input's number of channels."""

    becomes = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """InstanceNorm3d whose num_features is the first input's number of channels."""

    becomes = InstanceNorm3d
