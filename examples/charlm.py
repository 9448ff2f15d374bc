"""A small GPT that writes Python, letter by letter, after reading 40 modules of Python's standard library.

python examples/charlm.py                           # trains, then shows what it writes
gradwire train examples/charlm.py --workers 2       # the same bits, data-parallel, through the service
"""

import functools
import sysconfig
from pathlib import Path

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset

LETTERS = "\n\t" + "".join(map(chr, range(32, 127)))
WINDOW = 64  # letters that are seen at once
MODULES = (
    "abc argparse ast base64 bisect calendar cmd code codecs collections/__init__ configparser contextlib copy csv dataclasses "
    "difflib dis enum fileinput fnmatch fractions ftplib functools getopt glob gzip heapq inspect json/decoder json/encoder "
    "logging/__init__ mailbox operator optparse pickle random shutil statistics textwrap zipfile"
).split()


class GPT(nn.Module):
    """A transformer that sees the letters before."""

    def __init__(self, width, layers, heads):
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), width)
        self.places = nn.Embedding(WINDOW, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.head = nn.Linear(width, len(LETTERS), bias=False)
        self.register_buffer(
            "hidden", nn.Transformer.generate_square_subsequent_mask(WINDOW), persistent=False
        )
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.05)

    def forward(self, read):
        n = read.shape[1]
        x = self.letters(read) + self.places.weight[:n]
        return self.head(self.blocks(x, mask=self.hidden[:n, :n], is_causal=True))


class CharLM(Job):
    """Which letter comes next?"""

    epochs = 1
    batch_size = 16
    lr = 6e-3
    width = 64
    layers = 2
    heads = 4
    letters = 1_000_000  # how much is read in an epoch
    clip_grad_norm = 1.0
    schedule_every = "step"

    def model(self):
        return GPT(self.width, self.layers, self.heads)

    def train_data(self):
        return windows(source()[: self.letters])

    def eval_data(self):
        return windows(source()[-20_000:])

    def optimizer(self, model):
        return torch.optim.AdamW(model.parameters(), lr=self.lr, betas=(0.9, 0.99), weight_decay=0.05)

    def scheduler(self, optimizer):
        steps = self.epochs * -(-(self.letters // WINDOW) // self.batch_size)
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=steps + 1, pct_start=0.1)

    def loss(self, model, batch):
        read, following = batch
        return F.cross_entropy(model(read).flatten(0, 1), following.flatten())


@functools.cache
def source():
    """The modules' text, one after another, as numbers: four spaces are one letter, those outside ASCII are left out."""
    folder = Path(sysconfig.get_path("stdlib"))
    text = "\n\n".join((folder / f"{name}.py").read_text("utf-8") for name in MODULES)
    text = text.replace("    ", "\t")
    number = {letter: i for i, letter in enumerate(LETTERS)}
    return torch.tensor([number[letter] for letter in text if letter in number])


def windows(text):
    n = (len(text) - 1) // WINDOW
    return TensorDataset(text[: n * WINDOW].reshape(n, WINDOW), text[1 : n * WINDOW + 1].reshape(n, WINDOW))


@torch.no_grad()
def written(model, beginning, letters, warmth=0.5, seed=0):
    """`beginning` and what the model writes after it; at `warmth` 0 it would always take the likeliest letter."""
    model.eval()
    random = torch.Generator().manual_seed(seed)
    read = [LETTERS.index(letter) for letter in beginning]
    for _ in range(letters):
        scores = model(torch.tensor([read[-WINDOW:]]))[0, -1]
        read.append(torch.multinomial(F.softmax(scores / warmth, dim=0), 1, generator=random).item())
    return "".join(LETTERS[i] for i in read).replace("\t", "    ")


if __name__ == "__main__":
    trained = torch.run(CharLM)
    print("-" * 80)
    print(written(trained.model, "class ", 800))
