"""A narrow net taught by a wide one that has just learned, through their softened answers (Hinton et al. 2015)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    teacher = data.start(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.BatchNorm1d(48), nn.Linear(48, 10))
    )
    student = data.start(nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10)))
    images, labels = data.digits(256)
    batches = list(zip(images.split(32), labels.split(32), strict=True))
    heat = 3.0
    learning = torch.optim.SGD(teacher.parameters(), lr=0.1, momentum=0.9, dampening=0.1)
    while True:
        teacher.train()
        for x, y in batches:
            learning.zero_grad()
            loss = F.cross_entropy(teacher(x), y)
            loss.backward()
            learning.step()
            yield loss.item()

        teacher.eval()
        optimizer = torch.optim.Adam(student.parameters(), lr=1e-2, eps=1e-7)
        for x, y in batches:
            with torch.no_grad():
                taught = F.softmax(teacher(x) / heat, dim=-1)
            scores = student(x)
            soft = F.kl_div(F.log_softmax(scores / heat, dim=-1), taught, reduction="batchmean") * heat**2
            loss = 0.7 * soft + 0.3 * F.cross_entropy(scores, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()
