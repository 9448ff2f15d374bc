"""torch.linalg as a namespace."""

from __future__ import annotations

import importlib

import gradwire


def test_the_attribute_is_the_public_module_and_shows_its_public_names_alone():
    assert gradwire.linalg is importlib.import_module("gradwire.linalg")
    shown = {n for n in dir(gradwire.linalg) if not n.startswith("_")}
    assert shown == set(gradwire.linalg.__all__)
