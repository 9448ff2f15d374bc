"""Digits drawn by a generator against a discriminator: transposed convolutions, batch norm, two Adams."""


def program(torch, data):
    nn = torch.nn

    def start(module):
        for name, part in module.named_modules():
            if "conv" in name:
                nn.init.normal_(part.weight, 0.0, 0.02)
            elif "norm" in name:
                nn.init.normal_(part.weight, 1.0, 0.02)
                nn.init.zeros_(part.bias)
        return data.start(module)

    def named(*parts):
        net = nn.Sequential()
        for name, part in parts:
            net.add_module(name, part)
        return net

    generator = start(
        named(
            ("conv1", nn.ConvTranspose2d(10, 16, 2, 1, 0, bias=False)),
            ("norm1", nn.BatchNorm2d(16)),
            ("relu1", nn.ReLU(True)),
            ("conv2", nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False)),
            ("norm2", nn.BatchNorm2d(8)),
            ("relu2", nn.ReLU(True)),
            ("conv3", nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False)),
            ("tanh", nn.Tanh()),
        )
    )
    discriminator = start(
        named(
            ("conv1", nn.Conv2d(1, 8, 4, 2, 1, bias=False)),
            ("leaky1", nn.LeakyReLU(0.2, inplace=True)),
            ("conv2", nn.Conv2d(8, 16, 4, 2, 1, bias=False)),
            ("norm2", nn.BatchNorm2d(16)),
            ("leaky2", nn.LeakyReLU(0.2, inplace=True)),
            ("conv3", nn.Conv2d(16, 1, 2, 1, 0, bias=False)),
            ("sigmoid", nn.Sigmoid()),
        )
    )
    criterion = nn.BCELoss()
    ours = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    theirs = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    images, _ = data.digits(160)
    while True:
        for real in images.split(16):
            real = real * 2 - 1
            discriminator.zero_grad()
            answer = torch.full((len(real),), 1.0)
            on_real = criterion(discriminator(real).view(-1), answer)
            on_real.backward()
            fake = generator(data.normal(len(real), 10, 1, 1))
            answer.fill_(0.0)
            on_fake = criterion(discriminator(fake.detach()).view(-1), answer)
            on_fake.backward()
            theirs.step()

            generator.zero_grad()
            answer.fill_(1.0)
            fooled = criterion(discriminator(fake).view(-1), answer)
            fooled.backward()
            ours.step()
            yield (on_real + on_fake).item() + fooled.item()
