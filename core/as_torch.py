"""gradwire in the place of PyTorch, for scripts and libraries that import torch by its name.

    import gradwire.as_torch            # from now on `import torch` gives gradwire, in this process
    python -m gradwire.as_torch train.py --epochs 3

Submodules go the same way: torch.nn.functional is gradwire.nn.functional. What gradwire has not raises as a missing module.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["install"]


class _Gradwire(MetaPathFinder, Loader):
    """Finds torch and its submodules in gradwire."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if fullname != "torch" and not fullname.startswith("torch."):
            return None
        own = "gradwire" + fullname.removeprefix("torch")
        try:
            module = importlib.import_module(own)
        except ModuleNotFoundError as e:
            if e.name is None or not own.startswith(e.name):
                raise
            raise ModuleNotFoundError(
                f"No module named {fullname!r} in gradwire, which stands in PyTorch's place (see docs/from-pytorch.md)",
                name=fullname,
            ) from None
        return ModuleSpec(fullname, self, loader_state=module, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module: ModuleType = spec.loader_state
        spec.loader_state = module, module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        given = module.__spec__
        if given is not None and given.loader_state is not None:
            module.__spec__ = given.loader_state[1]  # it keeps its own name


_finder = _Gradwire()


def install() -> None:
    """Lets `import torch` give gradwire. Raises ImportError where PyTorch itself has been imported already."""
    present = sys.modules.get("torch")
    if present is not None and not present.__name__.startswith("gradwire"):
        raise ImportError(
            "gradwire.as_torch: PyTorch is imported already; import gradwire.as_torch before it"
        )
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


install()

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m gradwire.as_torch SCRIPT [ARGUMENT …]")
    del sys.argv[0]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
