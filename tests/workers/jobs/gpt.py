"""A small GPT: causal attention, dropout, tied embeddings, AdamW in two groups, clipping, a schedule of every step."""

import math

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset

PAD = 0


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        n, length, width = x.shape
        split = self.qkv(self.before_attention(x)).view(n, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.dropout(
            self.out(seen.transpose(1, 2).reshape(n, length, width)), self.dropout, self.training
        )
        return x + self.mlp(self.before_mlp(x))


class Gpt(nn.Module):
    def __init__(self, tokens, length, width=16, layers=2, heads=2, dropout=0.1):
        super().__init__()
        self.tokens, self.places = nn.Embedding(tokens, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.1)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        return self.head(self.norm(self.blocks(x)))


class SmallGpt(Job):
    epochs = 3
    batch_size = 16
    lr = 3e-3
    clip_grad_norm = 1.0
    schedule_every = "step"
    checkpoint_every = 3
    tokens = 11
    length = 12

    def model(self):
        return Gpt(self.tokens, self.length)

    def train_data(self):
        """Sequences that count on in a stride of their own, of lengths from 4 to 12, padded."""
        n = 52  # 16 + 16 + 16 + 4
        start, stride = torch.randint(0, 10, (n, 1)), torch.randint(1, 4, (n, 1))
        places = torch.arange(self.length + 1)
        ids = 1 + (start + stride * places) % 10
        return TensorDataset(torch.where(places < torch.randint(4, self.length + 1, (n, 1)), ids, PAD))

    def optimizer(self, model):
        matrices = [p for p in model.parameters() if p.dim() > 1]
        vectors = [p for p in model.parameters() if p.dim() == 1]
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.lr, betas=(0.9, 0.95), weight_decay=0.1)

    def scheduler(self, optimizer):
        """Warm-up over 4 steps, then half a cosine."""
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda t: min(1.0, (t + 1) / 4) * 0.5 * (1 + math.cos(math.pi * min(t, 12) / 12))
        )

    def loss(self, model, batch):
        """The mean over the tokens that are no padding, which differ in number from shard to shard."""
        (ids,) = batch
        seen, wanted = ids[:, :-1], ids[:, 1:]
        counted = (wanted != PAD).sum()
        each = F.cross_entropy(model(seen).transpose(1, 2), wanted, reduction="sum", ignore_index=PAD)
        return {"loss": each / counted, "weight": counted}
