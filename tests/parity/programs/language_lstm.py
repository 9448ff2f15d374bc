"""A word language model: two layers of LSTM, its decoder tied to its embedding, gradients clipped, plain descent."""

BATCH, WINDOW, WIDTH = 4, 10, 24


def program(torch, data):
    nn = torch.nn
    words, known = data.words(500)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Embedding(known, WIDTH)
            self.rnn = nn.LSTM(WIDTH, WIDTH, num_layers=2)
            self.decoder = nn.Linear(WIDTH, known)
            self.decoder.weight = self.encoder.weight
            nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
            nn.init.zeros_(self.decoder.bias)

        def forward(self, tokens, hidden, kept):
            output, hidden = self.rnn(self.encoder(tokens) * kept, hidden)
            return self.decoder(output).view(-1, known), hidden

    model = data.start(Model())
    criterion = nn.CrossEntropyLoss()
    columns = data.tensor(words[: len(words) // BATCH * BATCH]).view(BATCH, -1).t().contiguous()
    rate = 5.0
    while True:
        hidden = tuple(torch.zeros(2, BATCH, WIDTH) for _ in range(2))
        for at in range(0, len(columns) - 1 - WINDOW, WINDOW):
            hidden = tuple(part.detach() for part in hidden)
            model.zero_grad()
            kept = data.kept(0.2, WINDOW, BATCH, WIDTH)
            output, hidden = model(columns[at : at + WINDOW], hidden, kept)
            loss = criterion(output, columns[at + 1 : at + 1 + WINDOW].reshape(-1))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-rate)
            yield loss.item()
        rate /= 4.0
