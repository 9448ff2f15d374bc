"""A job's receipt: the same at every size and through deaths; differences are told in words."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradwire.workers.faults import Fault
from gradwire.workers.receipt import Receipt, differences, read_receipt, save_receipt
from gradwire.workers.reports import OptionsChanged
from tests.workers.crews import JOBS, oracle, run_job


def receipt_of_run(folder: Path, workers: int, **options) -> Receipt:  # type: ignore[no-untyped-def]
    run_job("mlp", folder, workers, **options)
    return read_receipt(folder / "checkpoints" / "receipt.json")


def test_it_is_the_same_at_every_size_and_through_deaths_and_says_what_there_is_to_say(
    tmp_path: Path,
) -> None:
    receipt = receipt_of_run(tmp_path / "a", 1)
    assert receipt == receipt_of_run(tmp_path / "b", 3, faults=[Fault(0, "passed", 5)])
    solo = oracle("mlp")
    assert (receipt.parameters_sha256, receipt.chain) == (solo.parameters_sha256, solo.chains[-1].hex())
    assert (receipt.steps, receipt.shards, receipt.threads, receipt.device) == (12, 8, 1, "cpu")
    assert receipt.code == {"mlp.py": hashlib.sha256((JOBS / "mlp.py").read_bytes()).hexdigest()}
    assert receipt.settings["seed"] == 0 and receipt.settings["epochs"] == 3
    assert receipt.versions["python"] == platform.python_version()
    assert receipt.versions["numpy"] == np.__version__ and "blas" in receipt.versions
    assert receipt.machine["cpu"]
    assert len(receipt.data["train_data"]["sha256"]) == 64


def test_the_blas_is_numpys_whatever_else_is_loaded() -> None:
    pytest.importorskip("scipy")
    versions = [
        subprocess.run(
            [
                sys.executable,
                "-c",
                f"{load}from gradwire.workers.receipt import _numpy_blas; print(_numpy_blas())",
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for load in ("", "import scipy.linalg; ")
    ]
    assert versions[0] == versions[1] and versions[0].count(",") == 0 and versions[0] != "[]\n"


def test_each_difference_is_a_line(tmp_path: Path) -> None:
    one = receipt_of_run(tmp_path / "a", 2)
    assert differences(one, one) == []
    change = OptionsChanged(4, {"lr": 0.5}, 1)
    options = {"overrides": {"seed": "5"}, "shards": 4, "supervisor": {"history": [change]}}
    two = receipt_of_run(tmp_path / "b", 2, **options)
    lines = differences(one, two)
    for line in (
        "settings, seed: 0 and 5",
        "shards: 8 and 4",
        "options changed on the way: [] and [[4, {'lr': 0.5}]]",
    ):
        assert line in lines
    assert [line for line in lines if line.startswith("the parameters at the end: ")]
    assert [line for line in lines if line.startswith("data, train_data: ")]
    other = replace(one, versions={**one.versions, "numpy": "1.0"}, machine={**one.machine, "gpu": "H100"})
    assert differences(one, other) == [
        f"versions, numpy: {np.__version__} and 1.0",
        "the machine, gpu: nothing and H100",
    ]


def test_one_that_is_not_of_this_form_is_refused(tmp_path: Path) -> None:
    receipt = receipt_of_run(tmp_path, 1)
    path = Path(save_receipt(str(tmp_path), receipt))
    assert read_receipt(path) == receipt
    for change in ({"format": 2}, {"more": 1}):
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        with pytest.raises(ValueError, match="no receipt of format 1"):
            read_receipt(path)
