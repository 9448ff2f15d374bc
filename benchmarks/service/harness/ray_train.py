"""Ray Train, the peer of first_step.py: seconds from fit() to the first report, on a Ray that runs and has trained before."""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import ray
import torch
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, prepare_model


def train(config: dict[str, str]) -> None:
    """One epoch like that of first_step.py; leaves the time of its first step in a file."""
    torch.set_num_threads(1)
    model = prepare_model(
        torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    )
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(640, 64), torch.randint(10, (640,))
    for k in range(10):
        loss = torch.nn.functional.cross_entropy(model(x[64 * k : 64 * k + 64]), y[64 * k : 64 * k + 64])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if k == 0:
            Path(config["file"]).write_text(str(time.time()))
        ray.train.report({"loss": loss.item()})


def seconds(workers: int) -> float:
    """Of one run."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "first"
        trainer = TorchTrainer(
            train,
            train_loop_config={"file": str(file)},
            scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 0.5}),
            run_config=RunConfig(storage_path=folder),
        )
        began = time.time()
        trainer.fit()
        return float(file.read_text()) - began


def main() -> None:
    ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    seconds(1)
    told = {}
    for workers in (1, 2):
        found = [seconds(workers) for _ in range(int(sys.argv[1]))]
        told[f"ray_train_{workers}_workers_s"] = [
            round(value, 2) for value in (statistics.median(found), min(found), max(found))
        ]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
