"""Digits sent to the two of four experts that a gate likes best, with a loss for their even use (Shazeer et al. 2017)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    count, best = 4, 2

    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Linear(64, count, bias=False)
            self.experts = nn.ModuleDict(
                {
                    f"expert{i}": nn.Sequential(nn.Linear(64, 16), nn.GELU(), nn.Linear(16, 10))
                    for i in range(count)
                }
            )

        def forward(self, x):
            chances = F.softmax(self.gate(x), dim=1)
            shares, chosen = torch.topk(chances, best, dim=-1)
            shares = shares / shares.sum(dim=-1, keepdim=True)
            out = torch.zeros(len(x), 10)
            took = F.one_hot(chosen, count).permute(2, 1, 0)
            for i, expert in enumerate(self.experts.values()):
                place, row = torch.where(took[i])
                if row.numel():
                    out.index_add_(0, row, expert(x[row]) * shares[row, place, None])
            used = took.float().mean(dim=(1, 2))
            return out, count * (used * chances.mean(0)).sum()

    model = data.start(Experts())
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    images, labels = data.digits(320)
    while True:
        for x, y in zip(images.split(32), labels.split(32), strict=True):
            scores, uneven = model(x.flatten(1))
            loss = F.cross_entropy(scores, y) + 0.05 * uneven
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()
