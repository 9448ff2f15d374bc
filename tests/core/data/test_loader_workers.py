"""DataLoader with workers, in processes (forked and spawned) and threads: order, errors, deaths, ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gradwire as torch
from gradwire.utils.data import DataLoader

from . import loading
from .loading import plain

KINDS = ["fork", "thread", "spawn"]
# A spawned worker imports the library anew, for a second: one test of each kind has it.
each_kind = pytest.mark.parametrize("kind", KINDS)
quick_kinds = pytest.mark.parametrize("kind", KINDS[:2])


def loader(dataset, kind, **options):
    options.setdefault("num_workers", 2)
    return DataLoader(dataset, multiprocessing_context=kind, **options)


def children():
    """Processes that this one has started and that live."""
    me = os.getpid()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                is_pythons = (
                    b"resource_tracker" in (entry / "cmdline").read_bytes()
                )  # one for all that are spawned
            except OSError:
                continue
            if int(parent) == me and state != "Z" and not is_pythons:
                found.append(int(entry.name))
    return set(found)


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = children()
    yield
    gc.collect()
    wait_until(lambda: children() <= before)


@each_kind
def test_batches_are_those_of_no_workers_in_their_order(kind):
    slow = loading.Squares(slow=(0, 1, 8, 9))
    given = list(loader(slow, kind, batch_size=3))
    expected = list(DataLoader(loading.Squares(), batch_size=3))
    assert len(given) == len(expected) == 7
    for (i, x), (j, y) in zip(given, expected, strict=True):
        assert torch.equal(i, j) and torch.equal(x, y)


@each_kind
def test_an_error_comes_with_the_workers_traceback_and_its_type(kind):
    batches = iter(loader(loading.Failing(), kind, batch_size=2, collate_fn=plain))
    assert [next(batches) for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(KeyError) as e:
        next(batches)
    text = str(e.value)
    assert "Caught KeyError in DataLoader worker process 1" in text and "loading.py" in text
    assert "sample 7 is broken" in text


@quick_kinds
def test_errors_of_any_kind_are_told(kind):
    with pytest.raises(RuntimeError, match="Caught Strange in DataLoader worker process 0"):
        next(iter(loader(loading.StrangelyFailing(), kind)))
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(iter(loader(loading.EndsEarly(), kind)))
    with pytest.raises(OSError, match="no such disk"):
        next(iter(loader(loading.Squares(), kind, worker_init_fn=loading.broken_init)))


def test_what_cannot_be_sent_is_told():
    with pytest.raises(Exception, match="pickle"):
        next(iter(loader(loading.Unsendable(), "fork", collate_fn=plain)))


def test_a_worker_that_dies_is_told_at_once():
    batches = iter(loader(loading.Dying(), "fork", batch_size=1, collate_fn=plain))
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"worker \(pid\(s\) \d+\) exited unexpectedly, with exit code 3"):
        list(batches)
    assert time.monotonic() - started < 5


def test_a_killed_worker_is_told_at_once():
    batches = iter(loader(loading.Pids(200), "fork", batch_size=1, collate_fn=plain))
    os.kill(next(batches)[0], signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"exited unexpectedly, with exit code -9"):
        list(batches)


def test_a_worker_that_hangs_is_told_after_the_timeout():
    with pytest.raises(RuntimeError, match=r"timed out after 0\.3 seconds"):
        list(loader(loading.Hanging(), "fork", collate_fn=plain, timeout=0.3))


@quick_kinds
def test_a_pass_that_is_given_up_leaves_nothing(kind):
    for batch in loader(loading.Squares(), kind):
        assert batch[0].tolist() == [0]
        break


@quick_kinds
def test_persistent_workers_serve_pass_after_pass(kind, tmp_path):
    marks = loading.Marks(tmp_path)
    many = loader(loading.Squares(9), kind, batch_size=2, persistent_workers=True, worker_init_fn=marks)
    assert sum(len(i) for i, _ in many) == 9
    for _ in many:  # given up: what is still on its way must not turn up later
        break
    gc.collect()
    assert [i.tolist() for i, _ in many] == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert len(list(tmp_path.iterdir())) == 2
    del many


@each_kind
def test_an_iterable_data_set_is_shared_out_by_its_workers(kind):
    def values(**options):
        return [b.tolist() for b in loader(loading.Stream(), kind, **options)]

    assert values(batch_size=2) == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9]]
    if kind != "spawn":
        assert values(batch_size=4, drop_last=True) == [[0, 2, 4, 6], [1, 3, 5, 7]]
        assert sorted(int(x) for x in loader(loading.Stream(), kind, batch_size=None)) == list(range(11))
        assert sorted(x for b in values(batch_size=3, num_workers=3) for x in b) == list(range(11))


@quick_kinds
def test_more_batches_than_an_iterable_data_set_has_said_are_warned_of(kind):
    with pytest.warns(UserWarning, match="was reported to be 2 batches"):
        assert len(list(loader(loading.Everything(), kind, batch_size=2))) == 4


def test_workers_draw_what_the_generator_the_pass_and_their_number_say():
    def passes(kind):
        many = loader(loading.Draws(), kind, collate_fn=plain, generator=torch.Generator().manual_seed(3))
        return [[sample for (sample,) in many] for _ in range(2)]

    first = passes("fork")
    assert first == passes("fork")
    draws = [sample[1:] for one in first for sample in one]
    assert len(set(draws)) == len(draws), "two workers or passes drew the same"
    own = [[sample[:2] for sample in one] for one in passes("thread")]
    assert own == [[sample[:2] for sample in one] for one in first]


def test_the_caller_is_no_worker():
    assert torch.utils.data.get_worker_info() is None


def test_forks_are_left_to_processes_without_ray_or_grpc(monkeypatch):
    from gradwire.data.workers import start_method

    for name in ("ray", "grpc"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    usual = start_method()
    monkeypatch.setitem(sys.modules, "grpc", object())
    assert usual in ("fork", "forkserver", "spawn") and start_method() == (
        "spawn" if usual == "fork" else usual
    )


PROGRAM = """
import sys
from tests.core.data.loading import Hanging, Squares, plain
from gradwire.utils.data import DataLoader
if __name__ == "__main__":
    batches = iter(DataLoader(Hanging(), num_workers=2, collate_fn=plain, multiprocessing_context=sys.argv[1]))
    print(next(batches), flush=True)
    list(batches)
"""


@pytest.mark.parametrize("kind", ["fork", "spawn"])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_no_process_outlives_the_loaders(kind, end, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    root = Path(__file__).parents[3]
    program = subprocess.Popen(
        [sys.executable, str(script), kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(root)}, start_new_session=True,
    )  # fmt: skip
    assert program.stdout.readline() == "[0]\n"
    group = program.pid
    if end == signal.SIGINT:
        os.killpg(group, end)  # as a terminal does: every process gets it
    else:
        os.kill(group, end)
    _, errors = program.communicate(timeout=20)
    if end == signal.SIGINT:
        assert "KeyboardInterrupt" in errors and errors.count("Traceback") == 1

    def group_is_gone():
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(group_is_gone, 20)
