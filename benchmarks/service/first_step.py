"""From submit to the first finished step on a warm service: `python benchmarks/service/first_step.py [--peer PYTHON]`.

`gradwire serve` with Ray beside it, which has run a job before; the time is the service's own, from a submit's commit to that of the first step.
With `--peer`, a Python that has ray[train] and torch, the same for Ray Train on a Ray that runs and has trained before: from
`fit()` to the first report of a training function of one worker. Prints one line of JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from harness.served import arguments, machine, new_home

from gradwire.services.client import Client
from gradwire.services.records import Code, SourceFile

PEER = Path(__file__).parent / "harness" / "ray_train.py"
JOB = b"""
import gradwire as torch
from gradwire import Job, nn
from gradwire.utils.data import TensorDataset


class Small(Job):
    epochs = 1
    batch_size = 64

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def train_data(self):
        return TensorDataset(torch.randn(640, 64), torch.randint(10, (640,)))

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters())

    def loss(self, model, batch):
        x, y = batch
        return nn.functional.cross_entropy(model(x), y)
"""


def seconds(client: Client, workers: int, times: int) -> list[float]:
    """Seconds to the first step, of so many jobs one after the other."""
    found = []
    for _ in range(times):
        ended = client.submit(Code("job.py", (SourceFile("job.py", JOB),)), workers=workers).wait()
        assert ended.state.name == "SUCCEEDED", ended.error
        found.append(ended.first_step_seconds)
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--peer", default=None, help="a Python with ray[train] and torch")
    options = parser.parse_args()
    told: dict[str, object] = {}
    with new_home(options) as home:
        command = [
            sys.executable,
            "-m",
            "gradwire",
            "serve",
            "--address",
            "127.0.0.1:0",
            "--home",
            str(home),
            "--json",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        client = Client(json.loads(process.stdout.readline())["address"])
        seconds(client, 2, 1)
        for workers in (1, 2):
            found = seconds(client, workers, options.times)
            told[f"gradwire_{workers}_workers_s"] = [
                round(statistics.median(found), 2),
                round(min(found), 2),
                round(max(found), 2),
            ]
        client.close()
        process.terminate()
        process.wait(60)
        if options.peer is not None:
            done = subprocess.run(
                [options.peer, str(PEER), str(options.times)], capture_output=True, text=True
            )
            if done.returncode != 0:
                sys.exit(done.stderr[-2000:])
            told |= json.loads(done.stdout.splitlines()[-1])
        print(json.dumps({**told, **machine(home)}))


if __name__ == "__main__":
    main()
