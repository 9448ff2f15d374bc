"""What local_launcher.py runs: the supervisor of a job whose workers are processes of this host."""

import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from gradwire.services.commands import Commands, Pause, Resize, Update
from gradwire.services.launcher import Launch
from gradwire.services.local_program import Tell, run
from gradwire.services.optimizer import SliceOptimizer
from gradwire.workers.member import MemberSpec
from gradwire.workers.process_crew import ProcessCrew
from gradwire.workers.supervisor import Supervisor


def train(launch: Launch, tell: Tell, commands: Commands) -> None:
    """Trains from the newest valid checkpoint to the end of the job; SIGTERM ends it at the next step boundary."""
    spec = MemberSpec(
        job_file=str(launch.job_file),
        overrides=dict(launch.overrides),
        shards=launch.shards,
        device=launch.device,
        threads_per_worker=launch.threads_per_worker,
        checkpoints=str(launch.checkpoints),
        directory=str(launch.code),
        temporary=str(launch.temporary),
        data=dict(launch.data),
        blobs=str(launch.blobs),
        limits=launch.process_limits,
    )
    # A process each, also for one worker: user code shares its random numbers, modules and output with nobody.
    crew = ProcessCrew(spec, SliceOptimizer)
    supervisor = Supervisor(
        spec, launch.workers, crew, tell, launch.options_history, losses_limit=launch.losses_limit
    )

    def stop(number: int, frame: FrameType | None) -> None:
        supervisor.stop("asked to stop")

    def listen() -> None:
        for command in commands:
            match command:
                case Resize(workers):
                    supervisor.resize(workers)
                case Pause():
                    supervisor.pause()
                case Update(options, number):
                    supervisor.update(options, number)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=listen, name="commands", daemon=True).start()
    supervisor.run()


if __name__ == "__main__":
    sys.exit(run(train, Path(sys.argv[1]), int(sys.argv[2])))
