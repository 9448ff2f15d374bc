"""Digits told apart by blocks that add to what they are given, recomputed in the backward pass, with warm restarts."""


def program(torch, data):
    nn = torch.nn
    from_checkpoint = torch.utils.checkpoint.checkpoint

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride=1):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False, groups=2)
            self.gn2 = nn.LayerNorm([outputs, 8 // stride, 8 // stride])
            self.relu = nn.ReLU(inplace=True)
            self.down = None
            if stride != 1 or inputs != outputs:
                self.down = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.gn2(self.conv2(out))
            out += x if self.down is None else self.down(x)
            return self.relu(out)

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer1, self.layer2 = Block(1, 8), Block(8, 16, stride=2)
            self.pool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(16, 10)
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

        def forward(self, x):
            x = from_checkpoint(self.layer2, self.layer1(x), use_reentrant=False)
            return self.fc(torch.flatten(self.pool(x), 1))

    model = data.start(ResNet())
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=5, T_mult=2)
    images, labels = data.digits(240)
    while True:
        model.train()
        for x, y in zip(images.split(24), labels.split(24), strict=True):
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            yield loss.item()
        model.eval()
        with torch.no_grad():
            yield criterion(model(images), labels).item()
