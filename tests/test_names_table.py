"""docs/names.md is what docs/make_names.py makes of the names as they are now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_table_of_names_is_up_to_date_and_counts_at_least_four_hundred():
    spec = importlib.util.spec_from_file_location("make_names", DOCS / "make_names.py")
    names = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(names)
    text = names.table()
    assert text == (DOCS / "names.md").read_text(), "run `make names` and commit docs/names.md"
    have, documented = map(int, re.search(r"gradwire has (\d+) of (\d+)", text).groups())
    assert 400 <= have <= documented
