"""A net trained on low digits, then frozen but for a new head that learns the high ones, then thawed."""


def program(torch, data):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()
            )
            self.head = nn.Linear(72, 5)

        def forward(self, x):
            return self.head(self.features(x))

    def train(model, optimizer, images, labels, steps):
        for _ in range(steps):
            chosen = data.integers(len(images), 32)
            optimizer.zero_grad()
            loss = criterion(model(images[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            yield loss.item()

    images, labels = data.digits(500)
    low, high = labels < 5, labels >= 5
    criterion = nn.CrossEntropyLoss()
    model = data.start(Net())
    while True:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        yield from train(model, optimizer, images[low], labels[low], 8)

        for p in model.parameters():
            p.requires_grad = False
            p.grad = None
        model.head = data.start(nn.Linear(model.head.in_features, 5))
        model.features.eval()
        trained = filter(lambda p: p.requires_grad, model.parameters())
        optimizer = torch.optim.SGD(trained, lr=0.1, momentum=0.9)
        yield from train(model, optimizer, images[high], labels[high] - 5, 6)
        assert all(p.grad is None for p in model.features.parameters())

        model.requires_grad_(True).train()
        optimizer.add_param_group({"params": model.features.parameters(), "lr": 0.01})
        yield from train(model, optimizer, images[high], labels[high] - 5, 6)
