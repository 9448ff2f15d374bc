"""Digits made twice as large by a net that ends in PixelShuffle, from copies shrunk by bicubic interpolation."""


def program(torch, data):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.relu = nn.ReLU()
            self.conv1 = nn.Conv2d(1, 8, (5, 5), (1, 1), (2, 2))
            self.conv2 = nn.Conv2d(8, 8, (3, 3), (1, 1), (1, 1))
            self.conv3 = nn.Conv2d(8, factor**2, (3, 3), (1, 1), (1, 1))
            self.shuffle = nn.PixelShuffle(factor)
            gain = nn.init.calculate_gain("relu")
            nn.init.orthogonal_(self.conv1.weight, gain)
            nn.init.orthogonal_(self.conv2.weight, gain)
            nn.init.orthogonal_(self.conv3.weight)

        def forward(self, x):
            x = self.relu(self.conv2(self.relu(self.conv1(x))))
            return self.shuffle(self.conv3(x))

    model = data.start(Net(2))
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    images, _ = data.digits(160)
    small = nn.functional.interpolate(images, scale_factor=0.5, mode="bicubic", align_corners=False)
    while True:
        for at in range(0, len(images), 16):
            optimizer.zero_grad()
            loss = criterion(model(small[at : at + 16]), images[at : at + 16])
            loss.backward()
            optimizer.step()
            yield loss.item()
