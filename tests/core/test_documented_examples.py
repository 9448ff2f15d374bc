"""The fresh reader's test: the examples of PyTorch's own documentation, run under both libraries, must print the same.

Every documented name that gradwire has is taken, not a sample of them. Where an example draws random numbers, only that
gradwire takes every line of it that PyTorch takes.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import math
import re
import warnings
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import torch

import gradwire

_spec = importlib.util.spec_from_file_location(
    "make_names", Path(__file__).parents[2] / "docs" / "make_names.py"
)
names = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(names)

DRAWS = re.compile(
    r"rand|normal|bernoulli|multinomial|poisson|empty|dropout|manual_seed|gumbel|rrelu|uniform|cauchy|geometric|exponential_|"
    r"nn\.(Linear|Conv|LSTM|GRU|RNN|Transformer|MultiheadAttention|Embedding|Bilinear|PReLU)"
)
# What gradwire does not have, by design, or what changes the process for all others.
OUTSIDE = re.compile(
    r"complex|cfloat|\dj\b|\.conj|sparse|cuda|jit|quantiz|compile|vmap|set_\w+\(|resize_|dim_order|layout|share_memory|is_conj|xla|\bmeta\b"
)
# Examples that print the last bits of a sum, or a thing that is PyTorch's own.
APART = {
    "linalg.norm": "prints a singular value that is zero but for the last bits",
    "torch.gradient": "prints -3.0000 where the exact answer, which gradwire gives, prints -3.",
}
# Examples of hundreds of megabytes.
HEAVY = {
    f"nn.{n}"
    for n in (
        "ReplicationPad3d",
        "ConvTranspose3d",
        "CircularPad3d",
        "Conv3d",
        "Transformer",
        "TransformerDecoder",
        "TransformerEncoder",
    )
}
NAMESPACES = (
    "torch",
    "Tensor",
    "nn.functional",
    "linalg",
    "special",
    "autograd",
    "autograd.functional",
    "func",
    "nn",
    "optim",
)


def _examples():
    for path in NAMESPACES:
        space = torch if path == "torch" else attrgetter(path)(torch)
        for name in names.documented(space):
            text = getattr(space, name).__doc__ or ""
            if ">>>" not in text or OUTSIDE.search(text[text.index(">>>") :]) or not names.has(path, name):
                continue
            found = doctest.DocTestParser().get_examples(text)
            if f"{path}.{name}" not in {*APART, *HEAVY} and found:
                yield pytest.param(found, id=f"{path}.{name}")


def _run(library, examples):
    """What each example prints, or the type of its error."""
    scope = {
        "torch": library,
        "np": np,
        "math": math,
        "F": library.nn.functional,
        "nn": library.nn,
        "inf": math.inf,
    }
    printed = []
    for example in examples:
        out = io.StringIO()
        source = example.source
        if library is gradwire:
            source = source.replace("from torch", "from gradwire").replace(
                "import torch\n", "import gradwire as torch\n"
            )
        try:
            with contextlib.redirect_stdout(out):
                try:
                    value = eval(compile(source, "example", "eval"), scope)
                    if value is not None:
                        print(repr(value))
                except SyntaxError:
                    exec(compile(source, "example", "exec"), scope)
        except Exception as e:
            out.write(type(e).__name__)
            printed.append((False, out.getvalue()))
        else:
            printed.append((True, out.getvalue()))
    return printed


@pytest.mark.parametrize("examples", list(_examples()))
def test_the_examples_of_the_documentation_print_the_same(examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some of them save files
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, expected = _run(gradwire, examples), _run(torch, examples)
    draws = DRAWS.search("".join(e.source for e in examples))
    for example, (taken, shown), (should, says) in zip(examples, mine, expected, strict=True):
        if should or not taken:
            assert taken == should, f"{example.source}\ngradwire: {shown}\nPyTorch: {says}"
        if should and not draws and " at 0x" not in says:
            assert shown == says, f"{example.source}\ngradwire: {shown}\nPyTorch: {says}"
