"""Two convolutions with batch statistics, pooling, SGD with momentum and weight decay, held-out data."""

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset


class Cnn(Job):
    epochs = 3
    batch_size = 32
    lr = 0.05

    def model(self):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(8, 3),
        )  # fmt: skip

    def images(self, n):
        """Noise with a bright band: its row is the class."""
        y = torch.arange(n) % 3
        x = 0.5 * torch.randn(n, 1, 8, 8)
        rows = torch.arange(8).view(1, 1, 8, 1)
        return TensorDataset(x + (rows // 3 == y.view(n, 1, 1, 1)).float(), y)

    def train_data(self):
        return self.images(109)  # 32 + 32 + 32 + 13

    def eval_data(self):
        return self.images(30)

    def optimizer(self, model):
        return torch.optim.SGD(model.parameters(), lr=self.lr, momentum=0.9, weight_decay=1e-3)

    def loss(self, model, batch):
        x, y = batch
        scores = model(x)
        return {"loss": F.cross_entropy(scores, y), "accuracy": (scores.argmax(dim=1) == y).float().mean()}
