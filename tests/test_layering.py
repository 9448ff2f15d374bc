"""Imports go down only: read from the source, so that a lazy import counts as well."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    p
    for part in ("core", "workers", "services", "examples", "benchmarks", "tests")
    for p in sorted((ROOT / part).rglob("*.py"))
]
PARTS = {
    "core": "gradwire",
    "workers": "gradwire.workers",
    "services": "gradwire.services",
    "proto": "gradwire.proto",
}


def module_of(path: Path) -> list[str]:
    """The package that relative imports in `path` start from."""
    part, *rest = path.relative_to(ROOT).parts
    return [*PARTS.get(part, part).split("."), *rest[:-1]]


def imports(path: Path) -> Iterator[str]:
    """Full names of everything that `path` imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = module_of(path)
            base = start[: len(start) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == p or name.startswith(p + ".") for p in packages)


def test_relative_and_lazy_imports_are_read_by_their_full_names(tmp_path):
    assert "gradwire.versions.note_change" in set(imports(ROOT / "core" / "functions" / "indexing.py"))
    assert "gradwire.tensor.Tensor" in set(imports(ROOT / "core" / "nn" / "module.py"))


FORBIDDEN = {
    "core": ("ray", "grpc", "sqlalchemy", "typer", "gradwire.workers", "gradwire.services", "gradwire.proto"),
    "workers": ("gradwire.services", "gradwire.proto", "grpc", "sqlalchemy", "typer"),
}


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_layer_imports_nothing_from_above(part):
    files = [p for p in FILES if p.is_relative_to(ROOT / part) and p != ROOT / "core" / "__main__.py"]
    wrong = [f"{p.relative_to(ROOT)}: {n}" for p in files for n in imports(p) if within(n, *FORBIDDEN[part])]
    assert files and not wrong


SHOWS_VERSIONS = (
    ROOT / "services" / "cli" / "doctor.py"
)  # imports CuPy to say whether that works, never to compute


def test_cuda_libraries_are_imported_in_backends_alone():
    files = [
        p
        for p in FILES
        if p.is_relative_to(ROOT / "core")
        or p.is_relative_to(ROOT / "services")
        or p.is_relative_to(ROOT / "workers")
    ]
    wrong = [
        f"{p.relative_to(ROOT)}: {n}"
        for p in files
        if not p.is_relative_to(ROOT / "core" / "backends") and p != SHOWS_VERSIONS
        for n in imports(p)
        if within(n, "cupy", "cupyx", "cupy_backends")
    ]
    assert not wrong


def test_the_folders_are_imported_by_their_package_names():
    wrong = [
        f"{p.relative_to(ROOT)}: {n}"
        for p in FILES
        for n in imports(p)
        if within(n, "core", "workers", "services", "proto")
    ]
    assert not wrong
