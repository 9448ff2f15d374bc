"""What libraries that import torch by its name compute, as JSON: run under PyTorch, and under gradwire in its place."""

import importlib.util
import json
import sys

import numpy as np
import torch
from torch import nn


def data(*shape):
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def einops():
    from einops import einsum, pack, rearrange, reduce, repeat
    from einops.layers.torch import EinMix, Rearrange, Reduce

    x = data(2, 3, 4).requires_grad_()
    mixed = EinMix("b c d -> b e d", weight_shape="c e", c=3, e=5)
    with torch.no_grad():
        mixed.weight.copy_(data(*mixed.weight.shape))
    layers = nn.Sequential(Rearrange("b c d -> b d c"), Reduce("b (k two) c -> b k c", "max", two=2))
    packed, _ = pack([x, x[:, :, 0]], "b *")
    parts = [
        rearrange(x, "b c (h w) -> (b h) c w", h=2), reduce(x, "b c d -> c", "mean"), repeat(x, "b c d -> b (r c) d", r=2),
        einsum(x, x, "b c d, b e d -> b c e"), mixed(x), layers(x), packed,
    ]  # fmt: skip
    (gradient,) = torch.autograd.grad(sum((p * p).sum() for p in parts), x)
    return [*parts, gradient]


def lion_pytorch():
    from lion_pytorch import Lion

    w = nn.Parameter(data(3))
    optimizer = Lion([w], lr=1e-2, weight_decay=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    return [w]


def entmax():
    from entmax import entmax15, entmax_bisect, sparsemax

    x = data(2, 5).requires_grad_()
    parts = [entmax15(x, dim=-1), sparsemax(x, dim=-1), entmax_bisect(x, alpha=1.3)]
    (gradient,) = torch.autograd.grad(sum((p**3).sum() for p in parts), x)
    return [*parts, gradient]


def rotary_embedding_torch():
    from rotary_embedding_torch import RotaryEmbedding

    return [RotaryEmbedding(dim=8).rotate_queries_or_keys(data(1, 2, 4, 8))]


def torch_ema():
    from torch_ema import ExponentialMovingAverage

    model = nn.Linear(2, 1)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    average = ExponentialMovingAverage(model.parameters(), decay=0.9)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    average.update()
    with average.average_parameters():
        within = [p.detach().clone() for p in model.parameters()]
    return [*within, *model.parameters()]


def pytorch_warmup():
    import pytorch_warmup

    p = nn.Parameter(data(2))
    optimizer = torch.optim.AdamW([p], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    warmup, rates = pytorch_warmup.UntunedLinearWarmup(optimizer), []
    for _ in range(4):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
        with warmup.dampening():
            schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return [p, torch.tensor(rates)]


def pytorch_tcn():
    from pytorch_tcn import TCN

    model = TCN(4, [6, 6], kernel_size=3, dropout=0.0, use_norm="weight_norm")
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(torch.arange(p.numel()).reshape(p.shape) * 0.01 + 0.05 * i)
    out = model(data(1, 4, 10))
    out.sum().backward()
    return [out, *(p.grad for p in model.parameters())]


def x_transformers():
    from x_transformers import Decoder, Encoder, TransformerWrapper

    told = []
    for layers in (
        Decoder(dim=16, depth=2, heads=2, rotary_pos_emb=True),
        Encoder(dim=16, depth=1, heads=2, use_rmsnorm=True, ff_glu=True),
    ):
        model = TransformerWrapper(num_tokens=20, max_seq_len=16, attn_layers=layers)
        with torch.no_grad():
            for i, p in enumerate(model.parameters()):
                p.copy_(data(i + 1, *p.shape)[i] * 0.2)
        out = model(torch.arange(10).reshape(1, 10))
        nn.functional.cross_entropy(out.transpose(1, 2), torch.arange(1, 11).reshape(1, 10)).backward()
        told += [out, *(p.grad for p in model.parameters() if p.grad is not None)]
    return told


NAMES = "einops lion_pytorch entmax rotary_embedding_torch torch_ema pytorch_warmup pytorch_tcn x_transformers".split()

if __name__ == "__main__":
    told = {
        name: [t.detach().tolist() for t in globals()[name]()]
        for name in NAMES
        if importlib.util.find_spec(name)
    }
    print(json.dumps({"library": torch.__name__, "arguments": sys.argv[1:], "told": told}))
