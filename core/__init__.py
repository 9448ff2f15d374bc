"""gradwire: a define-by-run autograd library with the names and semantics of PyTorch."""

__version__ = "0.1.0"
