"""Digits learned with products in bfloat16 under autocast, and a scaler that is switched off, as on a CPU."""

# CPUs that multiply bfloat16 themselves sum in another order, and a sum that falls on the other side of a rounding moves
# a loss by up to 2**-9 of itself; elsewhere 3e-7 was measured.
TOLERANCE = 2e-3
CPU_ALONE = True  # CuPy's arrays carry no bfloat16


def program(torch, data):
    nn = torch.nn
    model = data.start(nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    images, labels = data.digits(320)
    while True:
        for x, y in zip(images.split(32), labels.split(32), strict=True):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = model(x)
                assert scores.dtype == torch.bfloat16
                loss = criterion(scores, y)
            assert loss.dtype == torch.float32
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            yield loss.item()
