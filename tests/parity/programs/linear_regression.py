"""A line fitted to noisy points by descent with Nesterov momentum, its rate lowered where the loss stops falling."""


def program(torch, data):
    nn = torch.nn
    x = data.uniform(60, 1) * 10 - 5
    y = 3 * x - 2 + 0.3 * data.normal(60, 1)
    model = data.start(nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.8, nesterov=True, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=1)
    criterion = nn.MSELoss()
    while True:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step(loss.item())
        yield loss.item() + optimizer.param_groups[0]["lr"]
