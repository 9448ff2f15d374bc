"""The files of a user's program: the job file and the modules beside it that it imports. Used by client.py.

Nothing of it is run here: files are compiled for their syntax, and imports are read from the syntax tree.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from gradwire.services.records import Code, SourceFile
from gradwire.services.validation import CODE_BYTES_LIMIT


class SourceError(Exception):
    """The program can't be sent: a missing file, wrong syntax, too much of it. The message says which and what to do."""


def collect(job_file: Path) -> Code:
    """The job file with the modules and packages beside it that it imports, directly or through each other.

    `import foo` and `from foo import …` take foo.py or all Python files of foo/ where they lie beside the job
    file; everything else is expected to be installed where the workers run. Raises SourceError.
    """
    if job_file.is_dir():
        raise SourceError(f"job file {job_file} is a folder: name the Python file in it")
    if not job_file.exists():
        raise SourceError(f"job file {job_file} does not exist")
    root = job_file.absolute().parent
    taken: dict[Path, bytes] = {}
    waiting = [root / job_file.name]
    while waiting:
        path = waiting.pop()
        if path in taken:
            continue
        taken[path] = _read(path)
        for module in sorted(_imports(path, taken[path])):
            waiting.extend(_beside(root, module))
        size = sum(len(content) for content in taken.values())
        if size > CODE_BYTES_LIMIT:
            raise SourceError(
                f"the code that {job_file.name} imports from its folder is larger than {CODE_BYTES_LIMIT} bytes (up to "
                f"{path.relative_to(root)}): keep data and other programs out of the folder, or send it all as an archive "
                f"(--archive code.tar.gz --entry {job_file.name})"
            )
    files = sorted(
        (SourceFile(path.relative_to(root).as_posix(), content) for path, content in taken.items()),
        key=lambda file: file.path,
    )
    return Code(entrypoint=job_file.name, files=tuple(files))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"can't read {path}: {error.strerror}") from error


def _imports(path: Path, content: bytes) -> set[str]:
    """First names of the modules that a file imports, anywhere in it."""
    try:
        tree = ast.parse(content, str(path))
        # Some errors, like `return` outside of a function, are found by compiling alone.
        compile(tree, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        text = f": {error.text.strip()}" if error.text else ""
        raise SourceError(f"{path}{line}: {error.msg}{text}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no Python file: {error}") from error
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _beside(root: Path, module: str) -> Iterator[Path]:
    """The files of a module that lies in `root`, as Python would find it: a package before a file."""
    package = root / module
    if (package / "__init__.py").is_file():
        yield from _package(package)
    elif (root / f"{module}.py").is_file():
        yield root / f"{module}.py"
    elif package.is_dir() and any(package.glob("*.py")):
        yield from _package(package)


def _package(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.py")):
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path
