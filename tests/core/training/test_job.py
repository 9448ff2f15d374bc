"""The job file and its settings: what is read, and what a user reads when it is wrong."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

import gradwire as torch
from gradwire.training import JobFileError, load_job

JOB = """
    import gradwire as torch
    from gradwire import Job, nn, optim

    class Small(Job):
        epochs = 3
        lr = 0.1
        name = "x"
        flag = False
        limit: int | None = None
        factor: float = 2

        def model(self): return nn.Linear(2, 1)
        def train_data(self): return torch.utils.data.TensorDataset(torch.zeros(4, 2))
        def optimizer(self, model): return optim.SGD(model.parameters(), lr=self.lr)
        def loss(self, model, batch): return model(batch[0]).mean()
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(sys.modules)

    def run(text, name="a_job_under_test.py"):
        path = tmp_path / name
        path.write_text(dedent(text))
        return path

    yield run
    for name in set(sys.modules) - set(before):
        if name.startswith("a_job_under_test"):
            del sys.modules[name]


def test_a_job_file_is_loaded_with_its_settings_first(write):
    job = load_job(write(JOB))
    assert list(job.settings())[:6] == ["epochs", "lr", "name", "flag", "limit", "factor"]
    assert list(job.settings())[6:] == [
        "batch_size",
        "seed",
        "clip_grad_norm",
        "accumulate",
        "on_non_finite",
        "loss_scale",
        "schedule_every",
        "checkpoint_every",
        "keep_last",
        "keep_every",
        "keep_best",
        "overlap_exchange",
    ]
    assert job.settings()["epochs"] == 3


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("lr", "1e-3", 1e-3),
        ("lr", "1", 1.0),
        ("epochs", "7", 7),
        ("name", "12", "12"),
        ("flag", "yes", True),
        ("flag", "False", False),
        ("limit", "5", 5),
        ("limit", "none", None),
        ("factor", "2.5", 2.5),
        ("clip_grad_norm", "0.5", 0.5),
        ("clip_grad_norm", "None", None),
    ],
)
def test_an_override_is_parsed_by_the_settings_type(write, name, text, value):
    got = getattr(load_job(write(JOB), {name: text}), name)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"learning": "1"}, "unknown setting 'learning'; Small has epochs, lr"),
        ({"epoch": "1"}, r"unknown setting 'epoch' \(did you mean epochs\?\)"),
        ({"lr": "fast"}, "a_job_under_test.py: setting lr: expected float, got 'fast'"),
        ({"epochs": "1.5"}, "setting epochs: expected int, got '1.5'"),
        ({"flag": "maybe"}, "setting flag: expected bool, got 'maybe'"),
        ({"limit": "x"}, "setting limit: expected int or None, got 'x'"),
        ({"epochs": "0"}, "Small.epochs: expected an integer of at least 1, got 0"),
        ({"batch_size": "-1"}, "Small.batch_size: expected an integer of at least 1"),
        ({"schedule_every": "day"}, "Small.schedule_every: expected 'epoch' or 'step', got 'day'"),
        ({"clip_grad_norm": "0"}, "Small.clip_grad_norm: expected a number above 0 or None, got 0.0"),
        ({"clip_grad_norm": "nan"}, "Small.clip_grad_norm: expected a number above 0 or None"),
    ],
)
def test_a_wrong_override_is_named_with_what_was_expected(write, overrides, message):
    with pytest.raises(JobFileError, match=message):
        load_job(write(JOB), overrides)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(JobFileError, match=r"job file .*gone.py does not exist"):
        load_job(tmp_path / "gone.py")


def test_a_file_that_is_no_python_file_is_refused(write):
    with pytest.raises(JobFileError, match=r"expected a Python file \(.py\)"):
        load_job(write(JOB, "a_job_under_test.txt"))


def test_what_the_file_raises_on_import_passes_through(write):
    path = write("import a_module_that_is_not_there")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        load_job(path)
    assert "a_job_under_test" not in sys.modules


def test_a_file_without_a_job_or_with_two_is_refused(write):
    with pytest.raises(JobFileError, match=r"expected one subclass of gradwire.Job, found none"):
        load_job(write("from gradwire import Job"))
    with pytest.raises(JobFileError, match="found A, B"):
        load_job(write("from gradwire import Job\nclass A(Job): pass\nclass B(Job): pass"))


def test_a_base_class_in_the_file_is_not_a_second_job(write):
    assert type(load_job(write(JOB + "\n    class Large(Small):\n        epochs = 9\n"))).__name__ == "Large"


def test_missing_parts_are_named_with_their_signatures(write):
    path = write(
        "from gradwire import Job\nclass A(Job):\n    def model(self): pass\n    def train_data(self): pass\n"
    )
    with pytest.raises(
        JobFileError, match=r"class A lacks optimizer\(self, model\), .* and loss\(self, model, batch\)"
    ):
        load_job(path)


def test_a_job_file_imports_the_modules_beside_it(write):
    write("rate = 0.25", "a_job_under_test_rates.py")
    path = write("    from a_job_under_test_rates import rate\n" + JOB.replace("lr = 0.1", "lr = rate"))
    assert load_job(path).lr == 0.25


def test_run_prints_the_digest_and_takes_settings_from_the_command_line(write, capsys):
    kind = type(load_job(write(JOB)))
    result = torch.run(kind, ["--set", "epochs=2", "--shards", "2"])
    out = capsys.readouterr().out
    assert result.steps == 2 and result.parameters_sha256 in out and "epoch 2/2  step 2/2  loss" in out


@pytest.mark.parametrize("argv", [["--set", "epoch=2"], ["--set", "epochs"], ["--shards", "0"]])
def test_run_ends_with_code_2_and_one_sentence_for_a_wrong_command(write, capsys, argv):
    with pytest.raises(SystemExit) as e:
        torch.run(type(load_job(write(JOB))), argv)
    assert e.value.code == 2 and "error: " in capsys.readouterr().err
