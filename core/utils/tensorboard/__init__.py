"""torch.utils.tensorboard: writes event files for TensorBoard, which need not be installed."""

from .writer import SummaryWriter

__all__ = ["SummaryWriter"]
