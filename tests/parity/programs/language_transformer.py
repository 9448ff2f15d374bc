"""A word language model out of nn.TransformerEncoder with a causal mask and places told by sines."""

import math


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    words, known = data.words(500)
    window, width = 10, 16

    class Places(nn.Module):
        def __init__(self):
            super().__init__()
            at = torch.arange(0, 50, dtype=torch.float).unsqueeze(1)
            rates = torch.exp(torch.arange(0, width, 2).float() * (-math.log(10000.0) / width))
            table = torch.zeros(50, width)
            table[:, 0::2] = torch.sin(at * rates)
            table[:, 1::2] = torch.cos(at * rates)
            self.register_buffer("table", table.unsqueeze(0).transpose(0, 1))

        def forward(self, x):
            return x + self.table[: x.size(0), :]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(known, width)
            self.places = Places()
            layer = nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=32, dropout=0.0)
            self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
            self.decoder = nn.Linear(width, known)
            nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

        def forward(self, tokens):
            mask = torch.log(torch.tril(torch.ones(len(tokens), len(tokens))))
            x = self.places(self.embed(tokens) * math.sqrt(width))
            return F.log_softmax(self.decoder(self.encoder(x, mask=mask)), dim=-1)

    model = data.start(Model())
    columns = data.tensor(words[: len(words) // 4 * 4]).view(4, -1).t().contiguous()
    rate = 1.0
    while True:
        for at in range(0, len(columns) - 1 - window, window):
            model.zero_grad()
            output = model(columns[at : at + window]).view(-1, known)
            loss = F.nll_loss(output, columns[at + 1 : at + 1 + window].view(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-rate)
            yield loss.item()
        rate /= 4.0
