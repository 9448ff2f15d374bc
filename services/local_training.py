"""What local_launcher.py runs: the whole job as one rank in this one process, which gives the bits of any number of ranks."""

import signal
import sys
from pathlib import Path
from types import FrameType

from gradwire.services.launcher import Launch
from gradwire.services.local_program import Tell, run
from gradwire.services.optimizer import SliceOptimizer
from gradwire.workers import checkpoint as checkpoints
from gradwire.workers.in_process import InProcessNetwork
from gradwire.workers.reports import Warned
from gradwire.workers.worker import Worker, WorkerSpec


def train(launch: Launch, tell: Tell) -> None:
    """Trains from the newest valid checkpoint to the end of the job; SIGTERM ends it at the next step boundary."""
    spec = WorkerSpec(
        job_file=str(launch.job_file),
        overrides=dict(launch.overrides),
        shards=launch.shards,
        device=launch.device,
        threads_per_worker=launch.threads_per_worker,
        checkpoints=str(launch.checkpoints),
        directory=str(launch.code),
    )
    worker = Worker(spec, 0, 1, tell, SliceOptimizer)

    def stop(number: int, frame: FrameType | None) -> None:
        worker.stop("asked to stop")

    signal.signal(signal.SIGTERM, stop)
    checkpoints.clear_unfinished(launch.checkpoints)
    resume = checkpoints.newest_valid(
        launch.checkpoints, lambda text: tell(Warned("CHECKPOINT_DAMAGED", text))
    )
    (transport,) = InProcessNetwork().form(1)
    worker.run(lambda: transport, None if resume is None else str(resume))


if __name__ == "__main__":
    sys.exit(run(train, Path(sys.argv[1]), int(sys.argv[2])))
