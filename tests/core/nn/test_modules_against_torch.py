"""Each module beside torch's, with the same weights, in float64; and the losses with every reduction."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

import gradwire as torch

RNG = np.random.default_rng(3)
IMAGE, ROWS, WIDE, IDS = (2, 3, 7, 6), (5, 4), (2, 3, 4), None

MODULES = [
    (lambda n: n.Linear(4, 3), ROWS),
    (lambda n: n.Linear(4, 3, bias=False), WIDE),
    (lambda n: n.Linear(4, 3), (4,)),
    (lambda n: n.Conv2d(3, 4, 3), IMAGE),
    (lambda n: n.Conv2d(3, 2, (3, 2), stride=(2, 1), padding=(1, 1), bias=False), IMAGE),
    (lambda n: n.BatchNorm1d(4), ROWS),
    (lambda n: n.BatchNorm1d(3), WIDE),
    (lambda n: n.BatchNorm1d(4, affine=False, momentum=0.3), ROWS),
    (lambda n: n.BatchNorm2d(3), IMAGE),
    (lambda n: n.BatchNorm2d(3, eps=0.1), IMAGE),
    (lambda n: n.BatchNorm2d(3).eval(), IMAGE),
    (lambda n: n.BatchNorm1d(4, track_running_stats=False).eval(), ROWS),
    (lambda n: n.BatchNorm1d(4, momentum=None), ROWS),
    (lambda n: n.LayerNorm(4), WIDE),
    (lambda n: n.LayerNorm((3, 4), eps=0.1), WIDE),
    (lambda n: n.LayerNorm(4, elementwise_affine=False), ROWS),
    (lambda n: n.LayerNorm(4, bias=False), ROWS),
    (lambda n: n.Embedding(9, 4), IDS),
    (lambda n: n.MaxPool2d(2), IMAGE),
    (lambda n: n.MaxPool2d(3, stride=1, padding=1), IMAGE),
    (lambda n: n.AvgPool2d(2), IMAGE),
    (lambda n: n.AvgPool2d((3, 2), stride=2, padding=1), IMAGE),
    (lambda n: n.Flatten(), WIDE),
    (lambda n: n.Flatten(0, 1), WIDE),
    (lambda n: n.Identity(), ROWS),
    (lambda n: n.ReLU(), ROWS),
    (lambda n: n.Sigmoid(), ROWS),
    (lambda n: n.Tanh(), ROWS),
    (lambda n: n.SiLU(), ROWS),
    (lambda n: n.Softplus(), ROWS),
    (lambda n: n.GELU(), ROWS),
    (lambda n: n.GELU("tanh"), ROWS),
    (lambda n: n.Softmax(1), ROWS),
    (lambda n: n.LogSoftmax(-1), WIDE),
    (lambda n: n.Dropout(0.4).eval(), ROWS),
    (lambda n: n.Sequential(n.Linear(4, 5), n.ReLU(inplace=True), n.Linear(5, 2)), ROWS),
    (lambda n: n.Sequential(n.Conv2d(3, 2, 3, padding=1), n.BatchNorm2d(2), n.ReLU(), n.MaxPool2d(2), n.Flatten(), n.Linear(18, 2)), IMAGE),
]  # fmt: skip


def pair(make, shape):
    """Both modules in float64 with the same values, both inputs, and both outputs."""
    theirs = make(real.nn).double()
    with real.no_grad():
        for p in theirs.parameters():
            p.copy_(real.from_numpy(RNG.standard_normal(tuple(p.shape))))
    ours = make(torch.nn).double()
    ours.load_state_dict({n: torch.from_numpy(t.numpy().copy()) for n, t in theirs.state_dict().items()})
    if shape is IDS:
        raw = RNG.integers(0, 9, (3, 5))
        x, rx = torch.from_numpy(raw), real.from_numpy(raw)
    else:
        raw = RNG.standard_normal(shape)
        x, rx = torch.tensor(raw, requires_grad=True), real.tensor(raw, requires_grad=True)
    return ours, theirs, x, rx


@pytest.mark.parametrize(
    "make,shape", MODULES, ids=[repr(m(real.nn)).replace("\n", "")[:40] for m, _ in MODULES]
)
def test_output_gradients_and_buffers_equal_torchs(make, shape):
    ours, theirs, x, rx = pair(make, shape)
    for _ in range(2):
        y, ry = ours(x), theirs(rx)
        np.testing.assert_allclose(y.detach().numpy(), ry.detach().numpy(), rtol=1e-10, atol=1e-10)
        if ry.requires_grad:
            g = RNG.standard_normal(tuple(ry.shape))
            y.backward(torch.from_numpy(g))
            ry.backward(real.from_numpy(g))
    if rx.requires_grad:
        np.testing.assert_allclose(x.grad.numpy(), rx.grad.numpy(), rtol=1e-9, atol=1e-10)
    grads = dict(ours.named_parameters())
    for name, p in theirs.named_parameters():
        np.testing.assert_allclose(grads[name].grad.numpy(), p.grad.numpy(), rtol=1e-9, atol=1e-10)
    buffers = dict(ours.named_buffers())
    for name, b in theirs.named_buffers():
        np.testing.assert_allclose(buffers[name].numpy(), b.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "make,shape", MODULES, ids=[repr(m(real.nn)).replace("\n", "")[:40] for m, _ in MODULES]
)
def test_modules_print_as_torchs(make, shape):
    assert repr(make(torch.nn)) == repr(make(real.nn))


def test_nested_lists_and_dicts_print_as_torchs():
    def build(n):
        return n.ModuleDict(
            {"a": n.ModuleList([n.Linear(2, 3), n.ReLU()]), "b": n.Sequential(n.Tanh()), "c": n.Sequential()}
        )

    assert repr(build(torch.nn)) == repr(build(real.nn))


N, C = 6, 4
LOGITS, OTHER, CLASSES, WEIGHT = (
    RNG.standard_normal((N, C)),
    RNG.standard_normal((N, C)),
    RNG.integers(0, C, N),
    RNG.random(C),
)
DEEP, DEEP_CLASSES = RNG.standard_normal((2, C, 3)), RNG.integers(0, C, (2, 3))
IGNORING = np.where(np.arange(N) % 3 == 0, -100, CLASSES)
PROBABILITIES = RNG.dirichlet(np.ones(C), N)

LOSSES = [
    ("MSELoss", {}, LOGITS, OTHER),
    ("L1Loss", {}, LOGITS, OTHER),
    ("SmoothL1Loss", {}, LOGITS, OTHER),
    ("SmoothL1Loss", {"beta": 0.3}, LOGITS, OTHER),
    ("BCEWithLogitsLoss", {}, LOGITS * 30, (OTHER > 0).astype(float)),
    ("NLLLoss", {}, LOGITS, CLASSES),
    ("NLLLoss", {"weight": WEIGHT}, LOGITS, CLASSES),
    ("NLLLoss", {"ignore_index": 2}, LOGITS, CLASSES),
    ("CrossEntropyLoss", {}, LOGITS, CLASSES),
    ("CrossEntropyLoss", {}, LOGITS[0], CLASSES[0]),
    ("CrossEntropyLoss", {"weight": WEIGHT}, LOGITS, IGNORING),
    ("CrossEntropyLoss", {"label_smoothing": 0.2}, LOGITS, IGNORING),
    ("CrossEntropyLoss", {"label_smoothing": 0.2}, DEEP, DEEP_CLASSES),
    ("CrossEntropyLoss", {}, LOGITS, PROBABILITIES),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.1}, LOGITS, PROBABILITIES),
    ("CrossEntropyLoss", {"weight": WEIGHT}, DEEP, DEEP_CLASSES),
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "name,options,input,target", LOSSES, ids=[f"{n} {', '.join(o)} {x.shape}" for n, o, x, _ in LOSSES]
)
def test_each_loss_and_its_gradient_equal_torchs(name, options, input, target, reduction):
    def run(t, as_tensor):
        given = {k: as_tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        x = t.tensor(input, requires_grad=True)
        loss = getattr(t.nn, name)(**given, reduction=reduction)(x, as_tensor(np.asarray(target)))
        (loss * loss).sum().backward()
        return loss.detach().numpy(), x.grad.numpy()

    for got, expected in zip(run(torch, torch.from_numpy), run(real, real.from_numpy), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
@pytest.mark.parametrize("name", ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"])
def test_a_target_of_another_shape_is_broadcast_with_a_warning(t, name):
    with pytest.warns(UserWarning, match=r"Using a target size \(torch.Size\(\[3\]\)\) that is different"):
        loss = getattr(t.nn, name)()(t.ones(3, 1), t.tensor([1.0, 2.0, 3.0]))
    assert loss.item() == pytest.approx({"MSELoss": 5 / 3, "L1Loss": 1.0}.get(name, 2 / 3))


def test_dropout_keeps_the_mean_and_scales_what_it_keeps():
    torch.manual_seed(0)
    y = torch.nn.Dropout(0.25)(torch.ones(40_000)).numpy()
    assert set(np.unique(y).tolist()) == {0.0, np.float32(1 / 0.75).item()} and abs(y.mean() - 1) < 0.02
