"""Every public function beside PyTorch: see driver.py for what is derived from a case."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from . import driver, hard_numbers, samples


def _collected(name):
    found = []
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("cases_")):
        samples.begin(module)
        family = importlib.import_module(f"{__package__}.{module}")
        for c in getattr(family, name, []):
            found.append(pytest.param(c, id=f"{module.removeprefix('cases_')}-{c}"))
    return found


__path__ = importlib.import_module(__package__).__path__
CASES, BAD = _collected("CASES"), _collected("BAD")


def _told(c, wrong):
    shown = f"{c.name}{c.args}{c.kwargs}\n" + "\n".join(f"[{where}] {what}" for where, what in wrong.items())
    assert not wrong, shown


@pytest.mark.parametrize("c", CASES)
def test_values_dtypes_and_shapes_are_pytorchs(c, device):
    _told(c, driver.wrong_values(c, device))


@pytest.mark.parametrize("c", [p for p in CASES if p.values[0].grad])
def test_first_and_second_derivatives_are_pytorchs(c, device):
    _told(c, driver.wrong_gradients(c, device))


@pytest.mark.parametrize("c", CASES)
def test_nan_and_infinities_warn_nobody(c):
    _told(c, hard_numbers.warned_of(c))


# At kinks such as 0.3, which half precision does not have, either side is right.
@pytest.mark.parametrize(
    "c",
    [
        p
        for p in CASES
        if p.values[0].grad and "float32" in p.values[0].dtypes and "kinks" not in p.values[0].note
    ],
)
def test_derivatives_in_half_precision_are_near_float32s(c):
    _told(c, hard_numbers.wrong_half_gradients(c))


@pytest.mark.parametrize("c", [p for p in CASES if p.values[0].forms])
def test_every_form_of_the_function_does_what_pytorchs_does(c, device):
    _told(c, driver.wrong_forms(c, device))


@pytest.mark.parametrize("c", BAD)
def test_what_pytorch_refuses_is_refused_with_the_same_type_of_error(c, device):
    _told(c, driver.wrong_refusal(c, device))


def test_every_function_of_the_catalogue_has_a_case():
    covered = {p.values[0].name for p in CASES}
    missing = set(driver.catalogue) - covered
    assert not missing, f"add cases for {sorted(missing)}"
