"""Batches of digits too large to hold, summed from eight small ones, with clipped gradients and a moving average."""


def program(torch, data):
    nn = torch.nn
    model = data.start(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 10))
    )
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.8)
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=5e-3,
    )
    images, labels = data.digits(512)
    parts = 8
    while True:
        for at in range(0, len(images), 128):
            batch = images[at : at + 128].chunk(parts), labels[at : at + 128].chunk(parts)
            total = 0.0
            for i, (x, y) in enumerate(zip(*batch, strict=True)):
                loss = criterion(model(x), y) / parts
                loss.backward()
                total += loss.item()
                if i == parts - 1:
                    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                    averaged.update_parameters(model)
            yield total + norm.item()
            with torch.no_grad():
                yield criterion(averaged(images), labels).item()
