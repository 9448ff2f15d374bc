"""State of other kinds: NAdam's number for a whole parameter, momentum and rate from schedules in a row."""

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset


class Cycle(Job):
    epochs = 3
    batch_size = 24
    schedule_every = "step"
    checkpoint_every = 1

    def model(self):
        return nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 3))

    def train_data(self):
        x = torch.randn(77, 6)
        return TensorDataset(x, (x.sum(dim=1) > 0).long())

    def optimizer(self, model):
        return torch.optim.NAdam(
            [{"params": model[0].parameters()}, {"params": model[2:].parameters(), "lr": 0.005}], lr=0.01
        )

    def scheduler(self, optimizer):
        schedules = torch.optim.lr_scheduler
        first = schedules.MultiStepLR(optimizer, [2, 4], gamma=0.5)
        return schedules.SequentialLR(optimizer, [first, schedules.OneCycleLR(optimizer, 0.02, 10)], [6])

    def loss(self, model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])
