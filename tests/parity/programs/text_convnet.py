"""Sentences with a marked pair of words found by filters of several widths, the best place of each taken (Kim 2014)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    known = 30

    class TextCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(known, 12, max_norm=3.0)
            self.filters = nn.ModuleDict({f"of{k}": nn.Conv1d(12, 6, k) for k in (2, 3, 4)})
            self.scales = nn.ParameterDict({name: nn.Parameter(torch.ones(6)) for name in self.filters})
            self.norm = nn.GroupNorm(3, 18)
            self.out = nn.Linear(18, 1)

        def forward(self, tokens):
            x = self.embed(tokens).transpose(1, 2)
            found = [
                F.adaptive_max_pool1d(F.relu(f(x)), 1).squeeze(2) * self.scales[n]
                for n, f in self.filters.items()
            ]
            return self.out(F.glu(torch.cat([self.norm(torch.cat(found, 1)), torch.cat(found, 1)], dim=1)))

    model = data.start(TextCNN())
    criterion = nn.SoftMarginLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedules = torch.optim.lr_scheduler
    scheduler = schedules.ChainedScheduler(
        [
            schedules.MultiplicativeLR(optimizer, lambda step: 0.99),
            schedules.StepLR(optimizer, 10, gamma=0.8),
        ],
        optimizer=optimizer,
    )
    while True:
        tokens = data.integers(known, 32, 14)
        marked = data.integers(2, 32)
        places = data.integers(13, 32)
        rows = torch.arange(32)[marked == 1]
        tokens[rows, places[rows]] = 3
        tokens[rows, places[rows] + 1] = 7
        optimizer.zero_grad()
        loss = criterion(model(tokens).squeeze(1), marked * 2.0 - 1)
        loss.backward()
        optimizer.step()
        scheduler.step()
        yield loss.item()
