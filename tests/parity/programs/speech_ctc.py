"""A line of noisy tones transcribed without knowing where each begins, by a GRU and the CTC loss."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    symbols, length, longest = 5, 14, 4
    tones = data.normal(symbols, 6)

    class Listener(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(6, 12, bidirectional=True)
            self.out = nn.Linear(24, symbols + 1)

        def forward(self, sound):
            return F.log_softmax(self.out(self.rnn(sound)[0]), dim=2)

    model = data.start(Listener())
    criterion = nn.CTCLoss(blank=symbols, zero_infinity=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    while True:
        counts = data.random.integers(1, longest + 1, size=8)
        said = data.random.integers(symbols, size=(8, longest))
        played = [said[i, sorted(data.random.integers(counts[i], size=length))].tolist() for i in range(8)]
        sound = tones[torch.tensor(played).t()] + 0.2 * data.normal(length, 8, 6)
        optimizer.zero_grad()
        loss = criterion(
            model(sound), data.tensor(said), torch.full((8,), length), torch.tensor(counts.tolist())
        )
        loss.backward()
        optimizer.step()
        yield loss.item()
