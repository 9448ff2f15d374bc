"""Words placed near the words around them, against words drawn by chance (Mikolov et al. 2013)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    words, known = data.words(600)

    class SkipGram(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Embedding(known, 12)
            self.outer = nn.Embedding(known, 12)
            nn.init.uniform_(self.inner.weight, -0.5, 0.5)
            nn.init.uniform_(self.outer.weight, -0.5, 0.5)

        def forward(self, word, near, far):
            v = self.inner(word)
            seen = F.logsigmoid((self.outer(near) * v).sum(1))
            unseen = F.logsigmoid(-torch.einsum("bnd,bd->bn", self.outer(far), v)).sum(1)
            return -(seen + unseen).mean()

    model = data.start(SkipGram())
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.2, lr_decay=1e-3)
    text = data.tensor(words)
    while True:
        at = data.integers(len(words) - 4, 64) + 2
        offset = data.tensor(data.random.choice([-2, -1, 1, 2], size=64))
        optimizer.zero_grad()
        loss = model(text[at], text[at + offset], data.integers(known, 64, 5))
        loss.backward()
        optimizer.step()
        yield loss.item()
