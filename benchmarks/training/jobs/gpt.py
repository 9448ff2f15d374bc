"""A small GPT on random tokens, for timing."""

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (
            self.qkv(self.norm1(x))
            .view(b, t, 3, self.heads, c // self.heads)
            .permute(2, 0, 3, 1, 4)
            .unbind(0)
        )
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, letters, width, layers, context):
        super().__init__()
        self.tokens, self.places = nn.Embedding(letters, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList([Block(width, 4) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, letters)

    def forward(self, x):
        h = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class Gpt(Job):
    epochs = 1
    batch_size = 32
    width = 128
    layers = 4
    context = 64
    steps = 20

    def model(self):
        return Model(96, self.width, self.layers, self.context)

    def train_data(self):
        return TensorDataset(torch.randint(0, 96, (self.batch_size * self.steps, self.context + 1)))

    def optimizer(self, model):
        return torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loss(self, model, batch):
        text = batch[0]
        scores = model(text[:, :-1])
        return F.cross_entropy(scores.flatten(0, 1), text[:, 1:].flatten())
