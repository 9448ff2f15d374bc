"""Training that is stopped, saved and taken up again by new objects: weights, optimizer, schedule and averages."""

import io


def program(torch, data):
    nn = torch.nn
    criterion = nn.CrossEntropyLoss()
    images, labels = data.digits(256)

    def made():
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
        )
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, amsgrad=True)
        schedules = torch.optim.lr_scheduler
        return model, optimizer, schedules.ConstantLR(optimizer, factor=0.5, total_iters=7)

    model, optimizer, scheduler = made()
    data.start(model)
    step = 0
    while True:
        for x, y in zip(images.split(32), labels.split(32), strict=True):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            step += 1
            yield loss.item()
            if step % 5 == 0:
                file = io.BytesIO()
                parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
                torch.save({"step": step, **{key: part.state_dict() for key, part in parts.items()}}, file)
                file.seek(0)
                model, optimizer, scheduler = made()
                saved = torch.load(file, weights_only=True)
                model.load_state_dict(saved["model"])
                optimizer.load_state_dict(saved["optimizer"])
                scheduler.load_state_dict(saved["scheduler"])
                step = saved["step"]
