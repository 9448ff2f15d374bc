"""A language model with turned places, shared keys, gated layers and norms without a mean; Muon for its matrices."""

# Muon's iteration rounds to bfloat16, where one part in 256 hangs on the last bit of a gradient; 3e-5 was measured, and
# 3e-7 with AdamW in its place.
TOLERANCE = 1e-4


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    words, known = data.words(400)
    window, width, heads, groups = 10, 16, 4, 2
    each = width // heads

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))

        def forward(self, x):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight

    def turn(x):
        rates = 1.0 / (100.0 ** (torch.arange(0, each, 2).float() / each))
        angles = torch.outer(torch.arange(x.size(2)).float(), rates)
        cos, sin = angles.cos(), angles.sin()
        even, odd = x[..., ::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.between = Norm(), Norm()
            self.q = nn.Linear(width, width, bias=False)
            self.k, self.v = (nn.Linear(width, groups * each, bias=False) for _ in range(2))
            self.o = nn.Linear(width, width, bias=False)
            self.gate, self.up = (nn.Linear(width, 2 * width, bias=False) for _ in range(2))
            self.down = nn.Linear(2 * width, width, bias=False)

        def forward(self, x):
            y = self.before(x)
            q, k, v = (part(y).unflatten(-1, (-1, each)).transpose(1, 2) for part in (self.q, self.k, self.v))
            k, v = (part.repeat_interleave(heads // groups, dim=1) for part in (turn(k), v))
            y = F.scaled_dot_product_attention(turn(q), k, v, is_causal=True)
            x = x + self.o(y.transpose(1, 2).flatten(2))
            y = self.between(x)
            return x + self.down(F.silu(self.gate(y)) * self.up(y))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(known, width)
            self.blocks = nn.ModuleList([Block(), Block()])
            self.norm = Norm()
            self.head = nn.Linear(width, known, bias=False)

        def forward(self, tokens):
            x = self.embed(tokens)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    model = data.start(Model())
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not (name.startswith("blocks") and p.ndim == 2)]
    optimizers = [torch.optim.Muon(matrices, lr=0.02), torch.optim.AdamW(others, lr=1e-2)]
    text = data.tensor(words)
    while True:
        starts = data.integers(len(words) - window - 1, 6)
        windows = text[starts[:, None] + torch.arange(window + 1)]
        loss = F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        yield loss.item()
