"""Which script a letter is from, told by its name alone: "ggwalg" is Korean, "qwee" Ethiopic. The names are Unicode's.

python examples/names.py                           # trains, then shows what is taken for what
gradwire train examples/names.py --workers 2       # the same bits, data-parallel, through the service
"""

import functools
import random
import unicodedata

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.nn.utils.rnn import pack_padded_sequence, pad_sequence

SCRIPTS = {
    "Cherokee": "cherokee letter", "Ethiopic": "ethiopic syllable", "Korean": "hangul syllable", "Vai": "vai syllable",
    "Yi": "yi syllable", "Cuneiform": "cuneiform sign", "Bamum": "bamum letter", "Canadian": "canadian syllabics",
}  # fmt: skip
LETTERS = " abcdefghijklmnopqrstuvwxyz0123456789-"


class Reader(nn.Module):
    """A GRU over the letters in both directions; the last states of both say which script."""

    def __init__(self, width):
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), 16)
        self.gru = nn.GRU(16, width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * width, len(SCRIPTS))

    def forward(self, names, lengths):
        read = pack_padded_sequence(self.letters(names), lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(read)
        return self.out(torch.cat([last[0], last[1]], dim=1))


class Names(Job):
    """Which script is it?"""

    epochs = 15
    batch_size = 64
    lr = 1e-2
    width = 32
    most = 400  # names of one script

    def model(self):
        return Reader(self.width)

    def train_data(self):
        return [pair for i, pair in enumerate(names(self.most)) if i % 5]

    def eval_data(self):
        return [pair for i, pair in enumerate(names(self.most)) if i % 5 == 0]

    def collate(self, samples):
        words = [spelt(word) for word, _ in samples]
        lengths = torch.tensor([len(word) for word in words])
        return pad_sequence(words, batch_first=True), lengths, torch.tensor([script for _, script in samples])

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=self.lr)

    def scheduler(self, optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.epochs)

    def loss(self, model, batch):
        words, lengths, scripts = batch
        scores = model(words, lengths)
        right = (scores.argmax(dim=1) == scripts).float().mean()
        return {"loss": F.cross_entropy(scores, scripts), "accuracy": right}


@functools.cache
def names(most):
    """(name, number of its script) in a fixed order; names that two scripts share are left out."""
    numbers = {beginning: i for i, beginning in enumerate(SCRIPTS.values())}
    found = {}
    for i in range(0x20000):  # above, there are no scripts that are spelt out
        *beginning, word = unicodedata.name(chr(i), "").lower().split(" ", 2)
        script = numbers.get(" ".join(beginning))
        if script is not None and set(word) <= set(LETTERS):
            found.setdefault(word, set()).add(script)
    shuffled = sorted((word, scripts.pop()) for word, scripts in found.items() if len(scripts) == 1)
    random.Random(0).shuffle(shuffled)
    kept = []
    for script in range(len(SCRIPTS)):
        kept += [pair for pair in shuffled if pair[1] == script][:most]
    random.Random(1).shuffle(kept)
    return kept


def spelt(word):
    return torch.tensor([LETTERS.index(letter) for letter in word])


@torch.no_grad()
def show(model, job):
    model.eval()
    table = torch.zeros(len(SCRIPTS), len(SCRIPTS), dtype=torch.int64)
    mistakes = []
    held_out = job.eval_data()
    words, lengths, _ = job.collate(held_out)
    taken = model(words, lengths).argmax(dim=1)
    for (word, is_), for_ in zip(held_out, taken.tolist(), strict=True):
        table[is_, for_] += 1
        if is_ != for_:
            mistakes.append((word, is_, for_))
    titles = list(SCRIPTS)
    print("\nheld-out names, and what they were taken for")
    print(" " * 10 + "".join(f"{title:>10}" for title in titles))
    for title, row in zip(titles, table.tolist(), strict=True):
        print(f"{title:>10}" + "".join(f"{n or '.':>10}" for n in row))
    for word, is_, for_ in mistakes[:6]:
        print(f"  {word!r} is {titles[is_]}, taken for {titles[for_]}")


if __name__ == "__main__":
    trained = torch.run(Names)
    show(trained.model, Names())
