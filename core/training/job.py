"""Job: what a user writes. A model, data, a loss and an optimizer, and no line about distribution."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import inspect
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.sources import from_url
from ..nn import Module
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler
from ..tensor import Tensor

__all__ = ["Job", "JobFileError", "load_job"]


class JobFileError(Exception):
    """The job file or its settings are wrong; the message is one sentence for the user."""


def _lacking(job: object, part: str) -> NotImplementedError:
    return NotImplementedError(
        f"{type(job).__name__} does not define {part}(), one of the four parts of a job"
    )


class Job:
    """A training run. Subclass it, write the four parts, and add settings as class attributes.

    Every class attribute that is a number, a bool or a string is a setting: `self.lr` in the code, `--set lr=0.01`
    on the command line. The methods are called in each worker; none of them needs to know of the others.

        class Digits(Job):
            epochs = 10
            lr = 1e-3

            def model(self): return nn.Sequential(...)
            def train_data(self): return TensorDataset(x, y)
            def optimizer(self, model): return optim.Adam(model.parameters(), lr=self.lr)
            def loss(self, model, batch):
                x, y = batch
                return F.cross_entropy(model(x), y)
    """

    epochs: int = 1
    """Passes over the training data."""
    batch_size: int = 32
    """Samples in a step, over all workers."""
    seed: int = 0
    """Everything random follows from it."""
    clip_grad_norm: float | None = None
    """Largest 2-norm of the gradient of all parameters together; None: as it comes."""
    accumulate: int = 1
    """Parts that a shard's rows are run in, one after the other: less memory, other bits."""
    on_non_finite: str = "fail"
    """What becomes of a step whose loss or gradient is NaN or infinite: "fail" ends the job, "skip" leaves the step out."""
    loss_scale: float | str | None = None
    """A factor of losses before backward, taken out of the gradients again; "dynamic": found by GradScaler's rule."""
    schedule_every: str = "epoch"
    """When the scheduler steps: "epoch" or "step"."""
    checkpoint_every: int = 0
    """Steps between checkpoints; 0: one at the end of each epoch. There is always one after the last step."""

    keep_last: int = 3
    """How many of the newest checkpoints stay."""
    keep_every: int = 0
    """Checkpoints of steps that this number divides stay too; 0: none."""
    keep_best: str | None = None
    """"min loss" or "max accuracy", say: the checkpoint whose evaluation was best stays too."""
    overlap_exchange: bool = True
    """Send gradients to other workers while backward still runs; no bit depends on it."""

    # The four parts

    def model(self) -> Module:
        """The module to train, freshly initialised."""
        raise _lacking(self, "model")

    def train_data(self) -> Any:
        """A data set with `__len__` and `__getitem__`."""
        raise _lacking(self, "train_data")

    def optimizer(self, model: Module) -> Optimizer:
        """The optimizer of the model's parameters; groups may differ."""
        raise _lacking(self, "optimizer")

    def loss(self, model: Module, batch: Any) -> Tensor | Mapping[str, Any]:
        """The mean loss over `batch`, a scalar tensor; or a dict of means, with "loss" and any metrics beside it.

        The means are taken over the batch's samples. Where they are over something else (the tokens that count, say),
        the dict's "weight" says over how many.
        """
        raise _lacking(self, "loss")

    # What may be added

    def eval_data(self) -> Any:
        """Held-out data, looked at after each epoch; None for none."""
        return None

    def evaluate(self, model: Module, batch: Any) -> Tensor | Mapping[str, Any]:
        """Like `loss`, for held-out data, in eval mode and without gradients."""
        return self.loss(model, batch)

    def scheduler(self, optimizer: Optimizer) -> LRScheduler | None:
        """A learning-rate schedule; `schedule_every` says when it steps."""
        return None

    def collate(self, samples: Sequence[Any]) -> Any:
        """Makes a batch of samples."""
        from ..data import default_collate

        return default_collate(samples)

    # Settings

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Names and defaults of all settings, in order of declaration, this class's own first."""
        result: dict[str, Any] = {}
        for owner in cls.__mro__:
            for name, value in vars(owner).items():
                if not name.startswith("_") and name not in result and _is_setting(value, owner, name):
                    result[name] = getattr(cls, name)
        return result

    def override(self, values: Mapping[str, str]) -> None:
        """Changes settings by their text, as `--set name=text` does. Raises JobFileError for a wrong name or value."""
        known = self.settings()
        for name, text in values.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                raise JobFileError(
                    f"unknown setting {name!r}{hint}; {type(self).__name__} has {', '.join(known)}"
                )
            setattr(self, name, _parsed(name, text, known[name], _declared(type(self), name)))

    def name_data(self, urls: Mapping[str, str], blobs: str = "") -> None:
        """Lets data at URLs (see gradwire.data.from_url) take the place of the job's own: {"train_data": "s3://bucket/*.parquet"}.

        It is opened where the job asks for it. blobs: the folder that `blob:` URLs lie in. Raises JobFileError for a wrong name.
        """
        own = [
            n
            for n, v in inspect.getmembers(type(self), inspect.isfunction)
            if not hasattr(Job, n) and n[0] != "_"
        ]
        for name, url in urls.items():
            if name not in ("train_data", "eval_data", *own):
                raise JobFileError(
                    f"data {name!r}: expected the name of a method that returns a data set, such as train_data or eval_data"
                )
            setattr(self, name, functools.cache(functools.partial(from_url, url, blobs=blobs or None)))

    def check(self) -> None:
        """Raises JobFileError for a missing part or a setting out of range."""
        name = type(self).__name__
        what = {
            "model": "model(self), which returns the nn.Module to train",
            "train_data": "train_data(self), which returns the training data set",
            "optimizer": "optimizer(self, model), which returns the optimizer",
            "loss": "loss(self, model, batch), which returns the mean loss of the batch",
        }
        missing = [
            text
            for part, text in what.items()
            if getattr(type(self), part) is getattr(Job, part) and part not in vars(self)
        ]
        if missing:
            raise JobFileError(f"class {name} lacks " + " and ".join(missing))
        for setting, least in (
            ("epochs", 1),
            ("batch_size", 1),
            ("accumulate", 1),
            ("checkpoint_every", 0),
            ("keep_last", 1),
            ("keep_every", 0),
        ):
            value = getattr(self, setting)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise JobFileError(
                    f"{name}.{setting}: expected an integer of at least {least}, got {value!r}"
                )
        if self.keep_best is not None and not re.fullmatch(r"(min|max) \S.*", str(self.keep_best)):
            raise JobFileError(
                f"{name}.keep_best: expected 'min METRIC' or 'max METRIC', such as 'min loss', or None, got {self.keep_best!r}"
            )
        if self.schedule_every not in ("epoch", "step"):
            raise JobFileError(
                f"{name}.schedule_every: expected 'epoch' or 'step', got {self.schedule_every!r}"
            )
        if self.on_non_finite not in ("fail", "skip"):
            raise JobFileError(f"{name}.on_non_finite: expected 'fail' or 'skip', got {self.on_non_finite!r}")
        scale = self.loss_scale
        number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
        if not (scale is None or scale == "dynamic" or (number and 0 < float(scale) < math.inf)):
            raise JobFileError(
                f"{name}.loss_scale: expected a number above 0, 'dynamic' or None, got {scale!r}"
            )
        if self.clip_grad_norm is not None and not self.clip_grad_norm > 0:
            raise JobFileError(
                f"{name}.clip_grad_norm: expected a number above 0 or None, got {self.clip_grad_norm!r}"
            )


def _declared(cls: type, name: str) -> Any:
    """The annotation of a class attribute as a type, where there is one."""
    for owner in cls.__mro__:
        if name in inspect.get_annotations(owner):
            try:
                return typing.get_type_hints(owner).get(name)
            except Exception:  # an annotation that does not resolve says nothing about the type
                return None
    return None


def _is_setting(value: Any, owner: type, name: str) -> bool:
    return isinstance(value, (bool, int, float, str)) or (
        value is None and name in inspect.get_annotations(owner)
    )


def _parsed(name: str, text: str, default: Any, declared: Any) -> Any:
    kinds = [
        k for k in (typing.get_args(declared) or (declared,)) if k in (bool, int, float, str, type(None))
    ] or [type(default)]
    for kind in (type(None), bool, int, float, str):
        if kind not in kinds:
            continue
        try:
            if kind is type(None) and text.lower() == "none":
                return None
            if kind is bool and text.lower() in ("true", "false", "1", "0", "yes", "no"):
                return text.lower() in ("true", "1", "yes")
            if kind in (int, float, str):
                return kind(text)
        except ValueError:
            continue
    wanted = " or ".join("None" if k is type(None) else k.__name__ for k in kinds)
    raise JobFileError(f"setting {name}: expected {wanted}, got {text!r}")


def load_job(
    path: str | Path,
    overrides: Mapping[str, str] | None = None,
    data: Mapping[str, str] | None = None,
    blobs: str = "",
) -> Job:
    """Imports a job file and returns its job with the overrides applied and checked, and data named by URL (Job.name_data).

    Raises JobFileError where the file is missing, defines no job or more than one, lacks a part, or an override is
    wrong. What the file itself raises on import is passed on as it is.
    """
    path = Path(path)
    if not path.is_file():
        raise JobFileError(f"job file {path} does not exist")
    module = _imported(path)
    jobs = [
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Job) and v.__module__ == module.__name__
    ]
    final = [j for j in jobs if not any(other is not j and issubclass(other, j) for other in jobs)]
    if len(final) != 1:
        found = ", ".join(j.__name__ for j in final) or "none"
        raise JobFileError(f"{path.name}: expected one subclass of gradwire.Job, found {found}")
    return made(final[0], overrides or {}, path.name, data or {}, blobs)


def made(
    kind: Callable[[], Job],
    overrides: Mapping[str, str],
    where: str,
    data: Mapping[str, str],
    blobs: str = "",
) -> Job:
    """An instance with overrides and named data, checked; errors begin with `where`."""
    job = kind()
    try:
        job.override(overrides)
        job.name_data(data, blobs)
        job.check()
    except JobFileError as e:
        raise JobFileError(f"{where}: {e}") from None
    return job


def _imported(path: Path) -> types.ModuleType:
    name = path.stem
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    known = sys.modules.get(name)
    if name in sys.stdlib_module_names or (known and getattr(known, "__file__", None) != str(path.resolve())):
        name = f"gradwire_job_{name}"  # a job file called json.py must not stand for the module of that name
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise JobFileError(f"job file {path}: expected a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is not None:
            sys.modules[name] = before
        else:
            del sys.modules[name]
        raise
    return module
