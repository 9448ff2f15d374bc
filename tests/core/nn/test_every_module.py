"""Every module beside PyTorch's: see driver.py for what is derived from a case."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from . import driver

__path__ = importlib.import_module(__package__).__path__


def _collected(name):
    found = []
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("cases_")):
        driver.begin(module)
        family = importlib.import_module(f"{__package__}.{module}")
        for i, c in enumerate(getattr(family, name, [])):
            found.append(pytest.param(c, id=f"{module.removeprefix('cases_')}-{i}-{c}"))
    return found


# PyTorch tells where its Transformer can't take a fast path of nested tensors.
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")

MODULES, BAD = _collected("MODULES"), _collected("BAD")


def _told(case, wrong):
    assert not wrong, f"{case}\n" + "\n".join(f"[{where}] {what}" for where, what in wrong.items())


@pytest.mark.parametrize("case", MODULES)
def test_outputs_gradients_and_buffers_are_pytorchs(case, device):
    _told(case, driver.wrong_results(case, device))


@pytest.mark.parametrize("case", MODULES)
def test_repr_constructor_and_state_are_pytorchs(case):
    _told(case, driver.wrong_description(case))


@pytest.mark.parametrize("case", MODULES)
def test_initial_values_are_distributed_as_pytorchs(case):
    _told(case, driver.wrong_initial_values(case))


@pytest.mark.parametrize("case", MODULES)
def test_copies_are_the_same_module(case):
    _told(case, driver.wrong_copies(case))


@pytest.mark.parametrize("case", BAD)
def test_what_pytorch_refuses_is_refused_in_its_words(case, device):
    _told(case, driver.wrong_refusal(case, device))
