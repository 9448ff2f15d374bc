"""The examples of docs/derivatives.md run as printed, and its picture is what they draw."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "derivatives.md"


def test_the_examples_of_the_page_on_derivatives_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert printed.startswith("tensor([ 0.7500,  3.0000, 12.0000], dtype=torch.float64)\n")
    assert printed.endswith("torch.Size([4, 1, 3])\n")
    assert names["w"].grad.shape == (3, 3)
    (drawn,) = re.findall(r"```mermaid\n(.*?)```", page, re.S)
    assert drawn == names["text"] and (tmp_path / "loss.svg").read_text().startswith("<svg")
