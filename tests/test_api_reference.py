"""docs/api.md is what docs/make_api.py makes of the .proto files as they are now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def make_api():
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date_and_its_links_lead_somewhere(make_api):
    text = make_api.reference()
    assert text == (DOCS / "api.md").read_text(), "run `make reference` and commit docs/api.md"
    headings = {line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\(#([a-z]+)\)", text)) <= headings
    # Every method of every service, whatever else.
    methods = [m.name for file in make_api.FILES for s in file.services_by_name.values() for m in s.methods]
    assert len(methods) >= 20
    assert all(f"\n### {name}\n" in text for name in methods)


def test_a_declaration_without_a_comment_is_an_error(make_api):
    words = make_api.Words()
    assert words.of(make_api.FILES[0], "Job.etag").startswith("Changes with whatever its owner can change")
    # Fields of a oneof are their message's.
    assert words.of(make_api.FILES[0], "Event.log_line") == "The user's code printed a line."
    with pytest.raises(LookupError, match=r"Job\.nothing has no comment"):
        words.of(make_api.FILES[0], "Job.nothing")
    assert "A.c" not in make_api.comments("// All.\nmessage A {\n  // B.\n  string b = 1;\n}\nstring c = 2;")
    assert make_api.comments("message A {\n  // B.\n  string b = 1;\n  int32 c = 2;\n}")["A.c"] == ""
