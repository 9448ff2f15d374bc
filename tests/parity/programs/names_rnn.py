"""Which of three made-up tongues a word belongs to, read letter by letter by an RNN cell, one word at a time; Rprop."""

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
            return self.out(hidden)

    model = data.start(Reader())
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.Rprop(model.parameters(), lr=0.01)
    spelt = []
    for i in range(18):
        read = torch.tensor([letters.index(letter) for letter in word(data.random, i % 3)])
        spelt.append((F.one_hot(read, len(letters)).float().unsqueeze(1), torch.tensor([i % 3])))
    while True:
        total = 0.0
        optimizer.zero_grad()
        for read, tongue in spelt:
            loss = criterion(model(read), tongue)
            loss.backward()
            total += loss.item()
        optimizer.step()
        yield total / len(spelt)
