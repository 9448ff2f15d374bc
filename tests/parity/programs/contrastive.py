"""Two noisy views of each digit told from all others in the batch, without labels (Chen et al. 2020)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    encoder = data.start(
        nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 24))
    )
    projector = data.start(nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 12)))
    parameters = torch.nn.ParameterList([*encoder.parameters(), *projector.parameters()])
    optimizer = torch.optim.SGD(parameters, lr=0.2, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=1e-3)
    images, _ = data.digits(320)

    def view(x):
        x = torch.roll(x, shifts=tuple(data.random.integers(-1, 2, size=2).tolist()), dims=(2, 3))
        if data.random.random() < 0.5:
            x = x.flip(-1)
        return x + 0.1 * data.normal(*x.shape)

    while True:
        for x in images.split(32):
            placed = F.normalize(projector(encoder(torch.cat([view(x), view(x)]))), dim=-1)
            alike = (placed @ placed.mT / 0.5).fill_diagonal_(float("-inf"))
            partner = torch.arange(len(placed)).roll(len(x))
            loss = F.cross_entropy(alike, partner)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            yield loss.item()
