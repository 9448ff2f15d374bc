"""Which of three made-up tongues a word belongs to, read letter by letter by an RNN cell, one word at a time."""

TONGUES = ("bdgmn aou", "ptksh eiy", "lrwvz aei")


def word(random, tongue):
    consonants, vowels = TONGUES[tongue].split()
    return "".join(
        random.choice(list(consonants)) + random.choice(list(vowels)) for _ in range(random.integers(1, 5))
    )


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    letters = sorted(set("".join(TONGUES)) - {" "})

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.RNNCell(len(letters), 16, nonlinearity="relu")
            self.out = nn.Linear(16, len(TONGUES))

        def forward(self, letters_read):
            hidden = torch.zeros(1, 16)
            for letter in letters_read:
                hidden = self.cell(letter, hidden)
            return F.log_softmax(self.out(hidden), dim=-1)

    model = data.start(Reader())
    criterion = nn.NLLLoss()
    optimizer = torch.optim.Rprop(model.parameters(), lr=0.01)
    while True:
        total = 0.0
        optimizer.zero_grad()
        for _ in range(8):
            tongue = int(data.random.integers(len(TONGUES)))
            spelt = torch.tensor([letters.index(letter) for letter in word(data.random, tongue)])
            loss = criterion(
                model(F.one_hot(spelt, len(letters)).float().unsqueeze(1)), torch.tensor([tongue])
            )
            loss.backward()
            total += loss.item()
        optimizer.step()
        yield total / 8
