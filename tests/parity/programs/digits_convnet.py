"""Digits told apart by a small convolutional net, with Adadelta and a step schedule."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
            self.conv2 = nn.Conv2d(8, 16, 3)
            self.fc1 = nn.Linear(16 * 3 * 3, 32)
            self.fc2 = nn.Linear(32, 10)

        def forward(self, x, kept):
            x = F.relu(self.conv1(x))
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            x = torch.flatten(x, 1) * kept
            return F.log_softmax(self.fc2(F.relu(self.fc1(x))), dim=1)

    model = data.start(Net())
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    pairs = torch.utils.data.TensorDataset(*data.digits(256))
    loader = torch.utils.data.DataLoader(pairs, batch_size=32)
    unseen, answers = data.digits(100)
    while True:
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.nll_loss(model(images, data.kept(0.25, len(images), 16 * 9)), labels)
            loss.backward()
            optimizer.step()
            yield loss.item()
        scheduler.step()
        model.eval()
        with torch.no_grad():
            guesses = model(unseen, 1.0)
            right = guesses.argmax(dim=1, keepdim=True).eq(answers.view_as(guesses[:, :1])).sum().item()
            yield F.nll_loss(guesses, answers, reduction="sum").item() / len(unseen) + right
