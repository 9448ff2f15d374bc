"""A spiral followed by a field whose steps of Runge and Kutta are trained through, under the mean absolute error."""


def program(torch, data):
    nn = torch.nn
    field = data.start(nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2)))
    true = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])

    def follow(change, x, steps=8, h=0.1):
        path = []
        for _ in range(steps):
            k1 = change(x)
            k2 = change(x + h / 2 * k1)
            k3 = change(x + h / 2 * k2)
            k4 = change(x + h * k3)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            path.append(x)
        return torch.stack(path)

    optimizer = torch.optim.Adam(field.parameters(), lr=1e-2, weight_decay=1e-4)
    while True:
        start = data.normal(16, 2)
        with torch.no_grad():
            wanted = follow(lambda x: x @ true, start)
        optimizer.zero_grad()
        loss = (follow(field, start) - wanted).abs().mean()
        loss.backward()
        optimizer.step()
        yield loss.item()
