"""Hidden words told from those on both sides, in sentences filled up to one length, with Adafactor."""


def program(torch, data):
    nn = torch.nn
    words, known = data.words(400)
    longest, width, hidden, filler = 12, 16, known, known + 1

    class Bert(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(known + 2, width, padding_idx=filler)
            self.places = nn.Embedding(longest, width)
            layer = nn.TransformerEncoderLayer(
                width, 4, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(
                layer, 2, norm=nn.LayerNorm(width), enable_nested_tensor=False
            )
            self.bias = nn.Parameter(torch.zeros(known))

        def forward(self, tokens):
            x = self.words(tokens) + self.places(torch.arange(longest)).unsqueeze(0)
            x = self.encoder(x, src_key_padding_mask=tokens == filler)
            return nn.functional.linear(x, self.words.weight[:known], self.bias)

    model = data.start(Bert())
    optimizer = torch.optim.Adafactor(model.parameters(), lr=0.02)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=200, power=0.9)
    criterion = nn.CrossEntropyLoss(ignore_index=-100)
    while True:
        tokens = torch.full((8, longest), filler)
        for row in tokens:
            count, at = (
                int(data.random.integers(4, longest + 1)),
                int(data.random.integers(len(words) - longest)),
            )
            row[:count] = data.tensor(words[at : at + count])
        chosen = (data.uniform(8, longest) < 0.3) & (tokens != filler)
        targets = tokens.masked_fill(~chosen, -100)
        loss = criterion(model(torch.where(chosen, hidden, tokens)).transpose(1, 2), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        yield loss.item()
