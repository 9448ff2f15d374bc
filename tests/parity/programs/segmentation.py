"""Digits cut out of a noisy ground by a net that narrows, widens again and sees its own earlier layers."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    def twice(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate", bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding="same", bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(inplace=True),
        )

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.top, self.middle, self.bottom = twice(1, 6), twice(6, 8), twice(8, 12)
            self.pool = nn.MaxPool2d(2)
            self.up1 = nn.ConvTranspose2d(12, 8, 2, stride=2)
            self.back1 = twice(16, 8)
            self.up2 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.back2 = twice(14, 6)
            self.last = nn.Conv2d(6, 1, 1)

        def forward(self, x):
            top = self.top(x)
            middle = self.middle(self.pool(top))
            x = self.up1(self.bottom(self.pool(middle)))
            x = self.up2(self.back1(torch.cat([middle, x], dim=1)))
            return self.last(self.back2(torch.cat([top, x], dim=1)))

    model = data.start(UNet())
    weighted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0]))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3, weight_decay=1e-6, momentum=0.5)
    images, _ = data.digits(160)
    wanted = (images > 0.5).float()
    while True:
        for x, y in zip(images.split(16), wanted.split(16), strict=True):
            scores = model(x + 0.2 * data.normal(*x.shape))
            chances = F.sigmoid(scores)
            common = (chances * y).sum(dim=(1, 2, 3))
            dice = 1 - ((2 * common + 1) / (chances.sum((1, 2, 3)) + y.sum((1, 2, 3)) + 1)).mean()
            loss = weighted(scores, y) + dice
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            yield loss.item()
