"""One story told by gradwire and by PyTorch: what it gives, or how it fails, must be the same, to the words."""

from __future__ import annotations

import re
import warnings

import torch as theirs

import gradwire as ours


def same(story):
    """That both libraries give the same result, or the same type of error with the same first line."""

    def told(t):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                result = story(t)
            except Exception as e:
                first = re.sub(r"<class '[^']*'>", "<class>", str(e).splitlines()[0])
                result = (
                    type(e).__name__,
                    first.removesuffix(" Open an issue on github if you need non-string keys."),
                )
        return result, bool(warned)

    mine, expected = told(ours), told(theirs)
    assert mine == expected, f"gradwire: {mine}\nPyTorch:  {expected}"
    return expected[0]
