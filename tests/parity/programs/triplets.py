"""Digits placed on a sphere by a triplet loss, each beside one of its kind and one of another, with RMSprop."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    model = data.start(nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.SiLU(), nn.Linear(32, 8)))
    criterion = nn.TripletMarginLoss(margin=0.4, p=2)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9, centered=True)
    images, labels = data.digits(400)
    kinds = labels.tolist()

    def other(i, same):
        """Another digit that is of the same kind as number i, or is not."""
        return int(
            data.random.choice([j for j, kind in enumerate(kinds) if (kind == kinds[i]) == same and j != i])
        )

    while True:
        chosen = data.random.integers(400, size=32).tolist()
        triplets = torch.tensor([(i, other(i, True), other(i, False)) for i in chosen])
        anchor, positive, negative = F.normalize(model(images[triplets.T.flatten()]), dim=1).chunk(3)
        optimizer.zero_grad()
        loss = criterion(anchor, positive, negative)
        loss.backward()
        optimizer.step()
        yield loss.item()
