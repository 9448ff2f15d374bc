"""A word language model with two directions and packed sentences: GRU, AdamW, a linear warm-up then a cosine."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    words, known = data.words(400)
    lengths = [9, 8, 8, 5, 2]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(known + 1, 16)
            self.rnn = nn.GRU(16, 12, num_layers=2, batch_first=True, bidirectional=True)
            self.out = nn.Linear(24, known)

        def forward(self, tokens):
            packed = nn.utils.rnn.pack_padded_sequence(self.embed(tokens), lengths, batch_first=True)
            output, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
            return self.out(output)

    model = data.start(Model())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    schedules = torch.optim.lr_scheduler
    scheduler = schedules.SequentialLR(
        optimizer,
        [
            schedules.LinearLR(optimizer, start_factor=0.1, total_iters=5),
            schedules.CosineAnnealingLR(optimizer, T_max=40),
        ],
        milestones=[5],
    )
    while True:
        starts = data.random.integers(len(words) - 10, size=len(lengths))
        sentences = [data.tensor(words[at : at + n + 1]) for at, n in zip(starts, lengths, strict=True)]
        tokens = nn.utils.rnn.pad_sequence([s[:-1] for s in sentences], batch_first=True, padding_value=known)
        targets = nn.utils.rnn.pad_sequence([s[1:] for s in sentences], batch_first=True, padding_value=-100)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens).transpose(1, 2), targets, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        scheduler.step()
        yield loss.item()
