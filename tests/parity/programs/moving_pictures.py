"""The next picture of a digit on the move, by convolutions in three dimensions and a recurrent net of convolutions."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    class ConvLSTM(nn.Module):
        def __init__(self, inputs, width):
            super().__init__()
            self.width = width
            self.gates = nn.Conv2d(inputs + width, 4 * width, 3, padding=1)

        def forward(self, pictures):
            batch, _, length, *size = pictures.shape
            h = c = pictures.new_zeros(batch, self.width, *size)
            for t in range(length):
                i, f, o, g = torch.chunk(self.gates(torch.cat((pictures[:, :, t], h), dim=1)), 4, dim=1)
                c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            return h

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = nn.Sequential(
                nn.Conv3d(1, 4, (2, 3, 3), padding=(0, 1, 1)),
                nn.BatchNorm3d(4),
                nn.LeakyReLU(0.1),
                nn.MaxPool3d((1, 2, 2)),
            )
            self.kept = ConvLSTM(4, 6)
            self.drawn = nn.ConvTranspose2d(6, 1, 4, stride=2, padding=1)

        def forward(self, pictures):
            return self.drawn(self.kept(self.seen(pictures))).sigmoid()

    model = data.start(Model())
    optimizer = torch.optim.RAdam(model.parameters(), lr=1e-2)
    images, _ = data.digits(64)
    while True:
        for batch in images.split(8):
            across = int(data.random.integers(-1, 2))
            film = torch.stack([torch.roll(batch, (t, across * t), dims=(2, 3)) for t in range(5)], dim=2)
            optimizer.zero_grad()
            loss = F.binary_cross_entropy(model(film[:, :, :-1]), film[:, :, -1])
            loss.backward()
            optimizer.step()
            yield loss.item()
