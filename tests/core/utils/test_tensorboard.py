"""Event files are read back by the tensorboard package, and beside those that torch writes."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest

import gradwire as torch
from gradwire.utils.tensorboard import SummaryWriter

tensorboard = pytest.importorskip("tensorboard")
with pytest.MonkeyPatch.context() as _m:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams import plugin_data_pb2
        from tensorboard.util import tensor_util
        from torch.utils.tensorboard import SummaryWriter as Theirs


def read(folder):
    sizes = {
        "scalars": 0,
        "images": 0,
        "histograms": 0,
        "tensors": 0,
        "compressedHistograms": 1,
        "audio": 0,
        "graph": 0,
    }
    found = EventAccumulator(str(folder), sizes)
    found.Reload()
    return found


def test_scalars_come_back_in_their_order_with_steps_and_times(tmp_path):
    with SummaryWriter(tmp_path) as w:
        for step in range(30):
            w.add_scalar("loss/train", torch.tensor(step * 0.5), step, walltime=1000.0 + step)
        w.add_scalar("flat", 3)
        w.add_scalar("big", -1.5, 2**40)
        assert w.get_logdir() == str(tmp_path)
    found = read(tmp_path)
    events = found.Scalars("loss/train")
    assert [(e.step, e.value, e.wall_time) for e in events] == [(s, s * 0.5, 1000.0 + s) for s in range(30)]
    assert found.Scalars("flat")[0].step == 0 and found.Scalars("big")[0].step == 2**40


@pytest.mark.parametrize("options", [{"new_style": True}, {"double_precision": True}])
def test_scalars_as_tensors(options, tmp_path):
    with SummaryWriter(tmp_path) as w:
        w.add_scalar("x", 0.1, 5, **options)
    (event,) = read(tmp_path).Tensors("x")
    assert tensor_util.make_ndarray(event.tensor_proto) == pytest.approx(0.1, rel=1e-7) and event.step == 5


def test_scalars_of_one_chart_have_a_folder_each(tmp_path):
    with SummaryWriter(tmp_path) as w:
        w.add_scalars("run", {"a": 1.0, "b": 2.0}, 3)
    for name, value in (("a", 1.0), ("b", 2.0)):
        assert [(e.step, e.value) for e in read(tmp_path / f"run_{name}").Scalars("run")] == [(3, value)]


@pytest.mark.parametrize("bins", ["tensorflow", "auto", [-2.0, 0.0, 1.0, 5.0]])
@pytest.mark.parametrize("max_bins", [None, 2])
def test_histograms_hold_what_torchs_do(bins, max_bins, tmp_path):
    values = np.random.default_rng(0).standard_normal(200)
    with SummaryWriter(tmp_path / "a") as a, Theirs(str(tmp_path / "b")) as b:
        a.add_histogram("h", torch.tensor(values), 1, bins=bins, max_bins=max_bins)
        b.add_histogram("h", values, 1, bins=bins, max_bins=max_bins)
    mine, theirs = (read(tmp_path / n).Histograms("h")[0].histogram_value for n in "ab")
    assert (mine.min, mine.max, mine.num) == (theirs.min, theirs.max, theirs.num)
    assert mine.sum == pytest.approx(theirs.sum) and mine.sum_squares == pytest.approx(theirs.sum_squares)
    assert sum(mine.bucket) == sum(theirs.bucket)
    if max_bins is None:
        assert list(mine.bucket) == list(theirs.bucket) and mine.bucket_limit == pytest.approx(
            theirs.bucket_limit
        )


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((3, 4, 5), "CHW"), ((4, 5, 3), "HWC"), ((4, 5), "HW"), ((1, 4, 5), "CHW"), ((4, 4, 5), "CHW")],
)
@pytest.mark.parametrize("kind", ["float", "uint8"])
def test_pictures_are_pngs_with_their_pixels(shape, layout, kind, tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, shape).astype(np.uint8)
    given = torch.from_numpy(values) if kind == "uint8" else torch.from_numpy(values.astype(np.float32) / 255)
    with SummaryWriter(tmp_path) as w:
        w.add_image("p", given, 2, dataformats=layout)
    (event,) = read(tmp_path).Images("p")
    picture = np.asarray(image.open(io.BytesIO(event.encoded_image_string)))
    expected = (
        values[..., None] if layout == "HW" else values.transpose(1, 2, 0) if layout == "CHW" else values
    )
    expected = np.repeat(expected, 3, axis=2) if expected.shape[2] == 1 else expected
    assert (event.height, event.width, event.step) == (4, 5, 2)
    assert np.abs(picture.astype(int) - expected).max() <= (0 if kind == "uint8" else 1)


def test_several_pictures_stand_in_a_grid(tmp_path):
    image = pytest.importorskip("PIL.Image")
    values = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 2, 2), np.uint8) * 20
    with SummaryWriter(tmp_path) as w:
        w.add_images("p", values)
    picture = np.asarray(image.open(io.BytesIO(read(tmp_path).Images("p")[0].encoded_image_string)))
    assert picture.shape == (4, 6, 3)
    assert picture[::2, ::2, 0].tolist() == [[0, 20, 40], [60, 80, 0]]


def test_text_and_curves_come_back(tmp_path):
    labels, predictions = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.6, 0.4])
    with SummaryWriter(tmp_path / "a") as a, Theirs(str(tmp_path / "b")) as b:
        a.add_text("note", "**bold** ü", 1)
        for w in (a, b):
            w.add_pr_curve("pr", labels, predictions, 1)
    mine, theirs = read(tmp_path / "a"), read(tmp_path / "b")
    (text,) = mine.Tensors("note/text_summary")
    assert tensor_util.make_ndarray(text.tensor_proto)[0].decode() == "**bold** ü"
    curves = [tensor_util.make_ndarray(r.Tensors("pr")[0].tensor_proto) for r in (mine, theirs)]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-6)
    assert mine.SummaryMetadata("pr").plugin_data.plugin_name == "pr_curves"


def test_hyperparameters_come_back(tmp_path):
    with SummaryWriter(tmp_path) as w:
        w.add_hparams({"lr": 0.1, "batch": 32, "fast": True, "name": "x"}, {"accuracy": 0.9}, run_name="one")
    found = read(tmp_path / "one")
    data = plugin_data_pb2.HParamsPluginData.FromString(
        found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    )
    values = {k: getattr(v, v.WhichOneof("kind")) for k, v in data.session_start_info.hparams.items()}
    assert values == {"lr": 0.1, "batch": 32, "fast": True, "name": "x"}
    assert found.Scalars("accuracy")[0].value == pytest.approx(0.9)


def test_a_file_can_be_read_while_it_is_written_and_after_close_a_new_one_begins(tmp_path):
    w = SummaryWriter(tmp_path, max_queue=1000)
    w.add_scalar("x", 1.0, 1)
    w.flush()
    assert len(read(tmp_path).Scalars("x")) == 1
    w.close()
    w.close()
    w.add_scalar("x", 2.0, 2)
    w.close()
    assert len(list(tmp_path.iterdir())) == 2 and len(read(tmp_path).Scalars("x")) == 2


def test_threads_may_write_at_once(tmp_path):
    w = SummaryWriter(tmp_path)

    def work(name):
        for step in range(50):
            w.add_scalar(name, step, step)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    w.close()
    found = read(tmp_path)
    assert all([e.step for e in found.Scalars(f"t{i}")] == list(range(50)) for i in range(4))


def test_what_came_after_the_purged_step_is_void(tmp_path):
    with SummaryWriter(tmp_path) as w:
        for step in range(5):
            w.add_scalar("x", step, step)
    with SummaryWriter(tmp_path, purge_step=2, filename_suffix=".again") as w:
        w.add_scalar("x", 20.0, 2)
    assert [(e.step, e.value) for e in read(tmp_path).Scalars("x")] == [(0, 0.0), (1, 1.0), (2, 20.0)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda w: w.add_scalar("x", torch.ones(2)),
        lambda w: w.add_scalar("x", "text"),
        lambda w: w.add_histogram("x", []),
        lambda w: w.add_histogram("x", [1.0, float("nan")]),
        lambda w: w.add_image("x", torch.ones(4, 5)),
        lambda w: w.add_image("x", torch.ones(7, 4, 5)),
        lambda w: w.add_image("x", torch.ones(3, 4, 5), dataformats="XYZ"),
        lambda w: w.add_pr_curve("x", [1, 0], [0.5]),
        lambda w: w.add_hparams(3, {}),
    ],
)
def test_what_cannot_be_told_is_refused(wrong, tmp_path):
    with SummaryWriter(tmp_path) as w, pytest.raises((ValueError, TypeError)):
        wrong(w)
