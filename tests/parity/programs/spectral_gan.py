"""Points in four heaps drawn against a critic held smooth by spectral norm, with the hinge loss (Miyato et al. 2018)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    spectral_norm = torch.nn.utils.parametrizations.spectral_norm
    critic = data.start(
        nn.Sequential(
            spectral_norm(nn.Linear(2, 24)), nn.LeakyReLU(0.1), spectral_norm(nn.Linear(24, 24)), nn.LeakyReLU(0.1),
            spectral_norm(nn.Linear(24, 1)),
        )
    )  # fmt: skip
    generator = data.start(
        nn.Sequential(nn.Linear(4, 24), nn.BatchNorm1d(24), nn.ReLU(inplace=True), nn.Linear(24, 2))
    )
    theirs = torch.optim.Adam(critic.parameters(), lr=4e-3, betas=(0.0, 0.9))
    ours = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
    heaps = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    while True:
        real = heaps[data.integers(4, 32)] + 0.1 * data.normal(32, 2)
        fake = generator(data.normal(32, 4)).detach()
        loss = F.relu(1 - critic(real)).mean() + F.relu(1 + critic(fake)).mean()
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        ours.zero_grad()
        fooled = -critic(generator(data.normal(32, 4))).mean()
        fooled.backward()
        ours.step()
        yield loss.item() + fooled.item()
