"""A variational autoencoder of digits, with Adam."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(64, 32)
            self.mean = nn.Linear(32, 4)
            self.logvar = nn.Linear(32, 4)
            self.outer = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64), nn.Sigmoid())

        def forward(self, x):
            h = F.relu(self.inner(x.view(-1, 64)))
            mean, logvar = self.mean(h), self.logvar(h)
            z = mean + data.normal(*mean.shape) * torch.exp(0.5 * logvar)
            return self.outer(z), mean, logvar

    model = data.start(VAE())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    images, _ = data.digits(320)
    while True:
        for batch in images.split(64):
            optimizer.zero_grad()
            image, mean, logvar = model(batch)
            likeness = F.binary_cross_entropy(image, batch.view(-1, 64), reduction="sum")
            spread = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
            (likeness + spread).backward()
            optimizer.step()
            yield (likeness + spread).item() / len(batch)
