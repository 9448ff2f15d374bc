"""Sequences of digits reversed by an encoder and a decoder that looks back with additive attention."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    known, width, length = 10, 16, 6

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(known, width)
            self.gru = nn.GRU(width, width, batch_first=True)

        def forward(self, tokens):
            return self.gru(self.embedding(tokens))

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(known + 1, width)
            self.query, self.keys = nn.Linear(width, width), nn.Linear(width, width)
            self.score = nn.Linear(width, 1)
            self.gru = nn.GRU(2 * width, width, batch_first=True)
            self.out = nn.Linear(width, known)

        def forward(self, seen, hidden, targets):
            token = torch.full((len(seen), 1), known, dtype=torch.long)
            outputs = []
            for i in range(length):
                query = hidden.permute(1, 0, 2)
                scores = self.score(torch.tanh(self.query(query) + self.keys(seen))).squeeze(2).unsqueeze(1)
                context = torch.bmm(F.softmax(scores, dim=-1), seen)
                output, hidden = self.gru(torch.cat((self.embedding(token), context), dim=2), hidden)
                output = self.out(output)
                outputs.append(output)
                if targets is None:
                    token = output.topk(1)[1].squeeze(-1).detach()
                else:
                    token = targets[:, i].unsqueeze(1)
            return F.log_softmax(torch.cat(outputs, dim=1), dim=-1)

    encoder, decoder = data.start(Encoder()), data.start(Decoder())
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01, amsgrad=True)
    criterion = nn.NLLLoss()
    step = 0
    while True:
        tokens = data.integers(known, 16, length)
        answers = tokens.flip(1)
        optimizer.zero_grad()
        taught = answers if step % 3 else None
        output = decoder(*encoder(tokens), taught)
        loss = criterion(output.view(-1, known), answers.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_value_(parameters, 0.02)
        optimizer.step()
        step += 1
        yield loss.item()
