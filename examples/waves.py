"""Which of three shapes is a noisy wave? The data lies in files that the job is told of by URL.

python examples/waves.py                          # makes the files aside, trains on them, removes them
python examples/waves.py --make DIR               # makes the files
gradwire train examples/waves.py --workers 2 --data "train_data=DIR/train-*.npz#columns=x,y"

The job has no train_data of its own. The same files behind https: or s3: give the same bits, and each worker reads the rows it computes on.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F


def make(folder, files=4, rows=256, length=64):
    """Writes train-0.npz, train-1.npz, …: sines, squares and saw teeth of any pitch and phase, half drowned in noise."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for i in range(files):
        y = random.integers(0, 3, rows)
        turns = random.uniform(2, 5, (rows, 1)) * np.linspace(0, 1, length) + random.random((rows, 1))
        shapes = np.stack(
            [np.sin(2 * np.pi * turns), np.sign(np.sin(2 * np.pi * turns)), 2 * (turns % 1) - 1]
        )
        x = shapes[y, np.arange(rows)] + random.normal(0, 0.4, (rows, length))
        np.savez(folder / f"train-{i}.npz", x=x.astype(np.float32), y=y)


class Waves(Job):
    """Tells sines, squares and saw teeth apart."""

    epochs = 15
    batch_size = 64
    lr = 3e-3

    def model(self):
        return nn.Sequential(
            nn.Conv1d(1, 16, 7),
            nn.ReLU(),
            nn.Conv1d(16, 16, 7, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 26, 3),
        )

    def optimizer(self, model):
        return torch.optim.AdamW(model.parameters(), lr=self.lr)

    def loss(self, model, batch):
        x, y = batch
        scores = model(x.unsqueeze(1))
        return {"loss": F.cross_entropy(scores, y), "accuracy": (scores.argmax(1) == y).float().mean()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder))
            torch.run(Waves, [f"--data=train_data={folder}/train-*.npz#columns=x,y", *sys.argv[1:]])
