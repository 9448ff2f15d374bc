"""Pairs of digits told to be alike or not by two towers that share their weights."""


def program(torch, data):
    nn = torch.nn

    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.tower = nn.Sequential(
                nn.Conv2d(1, 8, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 16)
            )
            self.head = nn.Sequential(nn.Linear(32, 16), nn.ReLU(inplace=True), nn.Linear(16, 1))
            self.apply(self.start)

        @staticmethod
        def start(module):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                module.bias.data.fill_(0.01)

        def forward(self, one, other):
            return torch.sigmoid(self.head(torch.cat((self.tower(one), self.tower(other)), 1)))

    model = data.start(Siamese())
    criterion = nn.BCELoss()
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.02)
    images, labels = data.digits(200)
    while True:
        one, other = data.integers(200, 32), data.integers(200, 32)
        alike = (labels[one] == labels[other]).float()
        optimizer.zero_grad()
        loss = criterion(model(images[one], images[other]).squeeze(), alike)
        loss.backward()
        optimizer.step()
        yield loss.item()
