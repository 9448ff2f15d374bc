"""Digits placed on a sphere by a triplet loss whose hardest negatives are looked up in each batch, with RMSprop."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    model = data.start(nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.SiLU(), nn.Linear(32, 8)))
    criterion = nn.TripletMarginLoss(margin=0.4, p=2)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-4, momentum=0.9, centered=True)
    images, labels = data.digits(400)
    while True:
        chosen = data.integers(400, 48)
        kinds = labels[chosen]
        placed = F.normalize(model(images[chosen]), dim=1)
        with torch.no_grad():
            apart = 2 - 2 * placed @ placed.T
            same = kinds[:, None] == kinds[None, :]
            farthest = apart.masked_fill(~same, float("-inf")).argmax(1)
            nearest = apart.masked_fill(same, float("inf")).argmin(1)
        optimizer.zero_grad()
        loss = criterion(placed, placed[farthest], placed[nearest])
        loss.backward()
        optimizer.step()
        yield loss.item()
