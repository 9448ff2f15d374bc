"""Four models at every number of workers, on every kind of worker: one sha256 each, that of the plain reference.

Threads go through all of it. A process costs half a second to start, so of each other kind every model has some sizes,
and one model all. Ray's part is in tests/services/test_training_on_ray.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.crews import run_job

MODELS = ("mlp", "cnn", "gpt", "branches")
"""Dropout and Adam; batch statistics and momentum; AdamW, clipping and a schedule; a graph that differs by the batch."""
SIZES = (1, 2, 3, 4, 8)
FEW = [*(("mlp", size) for size in SIZES), *((model, size) for model in MODELS[1:] for size in (2, 3))]
FEWER = [("mlp", 3), ("cnn", 2), ("gpt", 3), ("branches", 4)]


@pytest.mark.parametrize("workers", SIZES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["threads", "threads_over_sockets"])
def test_threads_give_the_bits_of_the_reference(kind: str, model: str, workers: int, tmp_path: Path) -> None:
    run_job(model, tmp_path, workers, kind).is_the_oracle_s(model)


@pytest.mark.parametrize(("model", "workers"), FEW)
def test_processes_with_shared_memory_give_the_bits_of_the_reference(
    model: str, workers: int, tmp_path: Path
) -> None:
    run_job(model, tmp_path, workers, "processes").is_the_oracle_s(model)


@pytest.mark.parametrize(("model", "workers"), FEWER)
def test_processes_over_sockets_give_the_bits_of_the_reference(
    model: str, workers: int, tmp_path: Path
) -> None:
    run_job(model, tmp_path, workers, "processes_over_sockets").is_the_oracle_s(model)
