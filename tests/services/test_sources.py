"""Which files of a user's folder are sent with a job."""

from pathlib import Path

import pytest

from gradwire.services.sources import SourceError, collect


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_modules_beside_the_job_file_come_with_it_and_nothing_else(tmp_path: Path) -> None:
    write(
        tmp_path,
        job_py="import numpy\nimport one\ndef f():\n    from pkg.deep import x\n",
        one_py="import two.three as t\nimport job\n",
        two__three_py="",
        pkg__init_py="",
        pkg__deep_py="from . import other\nimport four\n",
        pkg__other_py="",
        four_py="",
        unused_py="raise SystemExit",
        numpy_csv="data",
    )
    (tmp_path / "pkg" / "init.py").rename(tmp_path / "pkg" / "__init__.py")
    (tmp_path / "pkg" / "__pycache__").mkdir()
    (tmp_path / "pkg" / "__pycache__" / "x.py").write_text("")
    found = collect(tmp_path / "job.py")
    assert found.entrypoint == "job.py"
    assert [file.path for file in found.files] == [
        "four.py",
        "job.py",
        "one.py",
        "pkg/__init__.py",
        "pkg/deep.py",
        "pkg/other.py",
        "two/three.py",
    ]


def test_nothing_of_the_program_is_run(tmp_path: Path) -> None:
    write(tmp_path, job_py="raise SystemExit('run')\n")
    collect(tmp_path / "job.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [("def f(:\n", "line 1: invalid syntax"), ("x = 1\nreturn 2\n", "line 2: 'return' outside function")],
)
def test_wrong_syntax_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, job_py=text)
    with pytest.raises(SourceError, match=message):
        collect(tmp_path / "job.py")


def test_a_missing_file_a_folder_and_bytes_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        collect(tmp_path / "job.py")
    with pytest.raises(SourceError, match="is a folder"):
        collect(tmp_path)
    (tmp_path / "job.py").write_bytes(b"\0\1\2")
    with pytest.raises(SourceError, match=r"job\.py"):
        collect(tmp_path / "job.py")


def test_too_much_code_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    write(tmp_path, job_py="import big\n", big_py="#" * 3_000_000)
    with pytest.raises(SourceError, match="larger than 2097152 bytes"):
        collect(tmp_path / "job.py")
