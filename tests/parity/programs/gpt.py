"""A small decoder of a language model: causal attention written out, weight decay, a cosine schedule with warm-up."""

import math


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    words, known = data.words(400)
    window, width, heads = 12, 16, 2

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width, bias=False)
            self.out = nn.Linear(width, width, bias=False)
            self.register_buffer("mask", torch.tril(torch.ones(window, window)).view(1, 1, window, window))

        def forward(self, x):
            batch, length, _ = x.size()
            q, k, v = (
                part.view(batch, length, heads, width // heads).transpose(1, 2)
                for part in self.qkv(x).split(width, dim=2)
            )
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))
            y = F.softmax(scores, dim=-1) @ v
            return self.out(y.transpose(1, 2).contiguous().view(batch, length, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attn = Attention()
            self.mlp = nn.ModuleDict({"up": nn.Linear(width, 4 * width), "down": nn.Linear(4 * width, width)})

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp["down"](F.gelu(self.mlp["up"](self.ln_2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(known, width)
            self.places = nn.Embedding(window, width)
            self.blocks = nn.ModuleList(Block() for _ in range(2))
            self.last = nn.LayerNorm(width)
            self.head = nn.Linear(width, known, bias=False)
            self.head.weight = self.tokens.weight
            for name, p in self.named_parameters():
                if p.dim() == 2:
                    nn.init.normal_(p, std=0.02 / (math.sqrt(4) if name.endswith("down.weight") else 1))

        def forward(self, tokens):
            x = self.tokens(tokens) + self.places(torch.arange(tokens.size(1)))
            for block in self.blocks:
                x = block(x)
            return self.head(self.last(x))

    model = data.start(GPT())
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
        lr=1e-2,
        betas=(0.9, 0.95),
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (step + 1) / 5 if step < 5 else 0.5 * (1 + math.cos(math.pi * min(1, (step - 5) / 100))),
    )
    text = data.tensor(words)
    while True:
        starts = data.random.integers(len(words) - window - 1, size=6)
        x = torch.stack([text[at : at + window] for at in starts])
        y = torch.stack([text[at + 1 : at + 1 + window] for at in starts])
        loss = F.cross_entropy(model(x).view(-1, known), y.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        yield loss.item()
