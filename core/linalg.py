"""torch.linalg: linear algebra on matrices and batches of them."""

from .functions.linalg import cross, multi_dot

__all__ = ["cross", "multi_dot"]
