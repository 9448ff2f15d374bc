"""A variational autoencoder that invents handwritten digits. Kingma and Welling, arXiv:1312.6114.

python examples/vae.py                           # trains, then draws digits
gradwire train examples/vae.py --workers 2       # the same bits, data-parallel, through the service
"""

from sklearn.datasets import load_digits

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset

SHADES = " .:-=+*#%@"


class VAE(nn.Module):
    def __init__(self, width, numbers):
        super().__init__()
        self.inward = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 2 * numbers))
        self.outward = nn.Sequential(nn.Linear(numbers, width), nn.ReLU(), nn.Linear(width, 64))

    def forward(self, images):
        mean, logvar = self.inward(images).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
        return self.outward(z), mean, logvar

    def seen_again(self, images):
        return torch.sigmoid(self.outward(self.inward(images).chunk(2, dim=1)[0]))

    def drawn(self, z):
        return torch.sigmoid(self.outward(z))


class Inventor(Job):
    """Eight numbers for each picture, and the way back."""

    epochs = 40
    batch_size = 64
    lr = 3e-3
    width = 128
    numbers = 8

    def model(self):
        return VAE(self.width, self.numbers)

    def train_data(self):
        return TensorDataset(images()[200:])

    def eval_data(self):
        return TensorDataset(images()[:200])

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=self.lr)

    def loss(self, model, batch):
        (seen,) = batch
        scores, mean, logvar = model(seen)
        unlike = F.binary_cross_entropy_with_logits(scores, seen, reduction="sum") / len(seen)
        spread = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(dim=1).mean()
        return {"loss": unlike + spread, "unlikeness": unlike, "divergence": spread}


def images():
    """(1797, 64), from 0 for paper to 1 for ink."""
    return torch.tensor(load_digits().data / 16, dtype=torch.float32)


def side_by_side(pictures):
    """Pictures of 8 x 8 pixels in a row, two letters a pixel."""
    rows = (pictures.clamp(0, 0.999) * len(SHADES)).int().reshape(-1, 8, 8).tolist()
    return "\n".join(
        "  ".join("".join(SHADES[p] * 2 for p in picture[y]) for picture in rows) for y in range(8)
    )


@torch.no_grad()
def show(model):
    model.eval()
    torch.manual_seed(1)
    held_out = images()[:6]
    print("\nheld out\n" + side_by_side(held_out))
    print("\nremembered by a few numbers\n" + side_by_side(model.seen_again(held_out)))
    numbers = model.outward[0].in_features
    print("\ninvented\n" + side_by_side(model.drawn(torch.randn(6, numbers))))
    first, last = model.inward(held_out[[0, 1]]).chunk(2, dim=1)[0]
    way = torch.stack([torch.lerp(first, last, t / 5) for t in range(6)])
    print("\nfrom a 0 to a 1\n" + side_by_side(model.drawn(way)))


if __name__ == "__main__":
    show(torch.run(Inventor).model)
