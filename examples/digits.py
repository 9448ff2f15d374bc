"""Handwritten digits: a small convolutional net on 1,797 scanned digits of 8 x 8 pixels.

gradwire train examples/digits.py --workers 2     # data-parallel, through the service
python examples/digits.py                         # alone, for debugging; the same bits
"""

from sklearn.datasets import load_digits

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset

HELD_OUT = 5  # every fifth row is held out


class Digits(Job):
    """Which digit is it?"""

    epochs = 15
    batch_size = 64
    lr = 4e-3

    def model(self):
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 64),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(64, 10),
        )

    def train_data(self):
        return digits(held_out=False)

    def eval_data(self):
        return digits(held_out=True)

    def optimizer(self, model):
        return torch.optim.AdamW(model.parameters(), lr=self.lr)

    def scheduler(self, optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.epochs)

    def loss(self, model, batch):
        images, labels = batch
        scores = model(images)
        return {
            "loss": F.cross_entropy(scores, labels),
            "accuracy": (scores.argmax(dim=1) == labels).float().mean(),
        }


def digits(held_out):
    pixels, labels = load_digits(return_X_y=True)
    rows = [i for i in range(len(labels)) if (i % HELD_OUT == 0) == held_out]
    images = torch.tensor(pixels[rows], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return TensorDataset(images, torch.tensor(labels[rows]))


if __name__ == "__main__":
    torch.run(Digits)
