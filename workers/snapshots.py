"""A member's part in checkpoints: a step waits for one copy in memory, the rest goes on beside the training.

Every rank copies what it owns; a thread of its own sends that to rank 0, whose thread puts the whole together and writes it.
One at a time: who takes the next one first waits for the last, for a while; where storage hangs for longer, it is left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradwire.backends import to_numpy
from gradwire.training import state_arrays
from gradwire.workers.checkpoint import Checkpoint, CheckpointStorage, Retention, Saved, summary
from gradwire.workers.exchange import Exchange
from gradwire.workers.process_limits import ProcessLimits, broken_by
from gradwire.workers.reports import CheckpointWritten, Failed, Report, Warned
from gradwire.workers.state import packed, unpacked
from gradwire.workers.training_state import TrainingState
from gradwire.workers.transport import ExchangeError

__all__ = ["Snapshots"]


PATIENCE_S = 60.0
"""How long training waits for the checkpoint before, which storage has not taken yet."""


class Snapshots:
    """Takes a job's checkpoints, on one rank. `tell` takes CheckpointWritten and Warned, from another thread, on rank 0."""

    def __init__(
        self,
        location: str,
        tell: Callable[[Report], None],
        reach: Callable[[str, int], None],
        limits: ProcessLimits,
    ) -> None:
        self._storage, self._limits = CheckpointStorage(location), limits
        self._tell, self._reach = tell, reach
        self._threads: list[threading.Thread] = []
        self.saved: Saved | None = None
        """The newest that was written here."""

    def resumed(self, location: str) -> None:
        """Notes that the job goes on from this checkpoint."""
        self.saved, _ = summary(location)

    def take(self, state: TrainingState, exchange: Exchange, spec: Mapping[str, Any]) -> None:
        """Takes a checkpoint of this moment. Every rank calls it; nothing is told of it but by `tell`."""
        busy = not self._wait(PATIENCE_S)
        assert state.slices is not None
        step = state.finished or 0
        mine = [(key, offset, np.array(to_numpy(a))) for key, offset, a in state.slices.own.state_slices()]
        collect = exchange.gather_later(packed(mine))
        content: Checkpoint | None = None
        if exchange.rank == 0 and busy:
            text = f"the checkpoint of step {step} is left out: storage has not taken the one before it for {PATIENCE_S:.0f} s"
            self._tell(Warned("CHECKPOINT_SKIPPED", text))
        elif exchange.rank == 0:
            persistent = state_arrays(state.model)
            counts = zip(state.layout.parameter_segments, state.slices.own.step_counts, strict=True)
            content = Checkpoint(
                step=step,
                epoch=step // state.plan.steps_per_epoch,
                total_steps=state.plan.total_steps,
                model={name: np.array(array) for name, array in persistent.items()},
                optimizer={},
                buffers={
                    n: np.array(to_numpy(b._array))
                    for n, b in state.model.named_buffers()
                    if n not in persistent
                },
                step_counts={s.name: n for s, n in counts},
                scheduler=state.schedule(),
                spec=spec,
                recent=state.recent_as_json(),
                extra=state.more(),
            )
        shapes = {s.name: s.shape for s in state.layout.parameter_segments}
        retention = Retention.of(state.job)

        def body() -> None:
            try:
                messages = collect()
            except ExchangeError:
                return  # the group broke up, and takes this checkpoint again or the next one
            if content is None:
                return
            optimizer: dict[str, np.ndarray[Any, Any]] = {}
            for parts in (mine, *(unpacked(m) for m in messages if m.nbytes)):
                for key, offset, array in parts:
                    if key not in optimizer:
                        optimizer[key] = np.zeros(shapes[key.rpartition("/")[0]], array.dtype)
                    optimizer[key].reshape(-1)[offset : offset + array.size] = array
            self._write(Checkpoint(**{**vars(content), "optimizer": optimizer}), retention)

        thread = threading.Thread(target=body, name="gradwire-checkpoint", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _write(self, content: Checkpoint, retention: Retention) -> None:
        step = content.step
        self._reach("writing", step)
        try:
            saved = self._storage.write(content)
        except Exception as error:  # storage drivers raise what they like, and training must not end by it
            if broken := broken_by(self._limits, error):
                self._tell(Failed("PROCESS_LIMIT", f"{broken}, for the checkpoint of step {step}", ""))
                return
            text = (
                f"the checkpoint of step {step} could not be written ({type(error).__name__}: {error}); "
                "training goes on"
            )
            self._tell(Warned("CHECKPOINT_FAILED", text))
            return
        self._reach("written", step)
        self.saved = saved
        self._tell(CheckpointWritten(saved.step, saved.location, saved.parameters_sha256))
        try:
            self._storage.retain(retention, saved)
        except Exception as error:
            self._tell(Warned("CHECKPOINT_NOT_REMOVED", f"an old checkpoint could not be removed ({error})"))

    def settle(self) -> Saved | None:
        """Waits until nothing is on its way any more; the newest that was written here."""
        self._wait(None)
        return self.saved

    def _wait(self, most_s: float | None) -> bool:
        """Whether nothing is on its way, after waiting for that."""
        for thread in self._threads:
            thread.join(most_s)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return not self._threads
