"""Digits told in a few words of a learned code, whose gradients pass straight through the choice (van den Oord et al. 2017)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    class Quantizer(nn.Module):
        def __init__(self, words=16, width=4):
            super().__init__()
            self.codes = nn.Embedding(words, width)
            self.codes.weight.data.uniform_(-0.5, 0.5)

        def forward(self, z):
            z = z.permute(0, 2, 3, 1).contiguous()
            flat = z.view(-1, z.shape[-1])
            apart = (
                flat.pow(2).sum(1, keepdim=True)
                + self.codes.weight.pow(2).sum(1)
                - 2 * flat @ self.codes.weight.t()
            )
            chosen = apart.argmin(dim=1).unsqueeze(1)
            picks = torch.zeros(len(chosen), self.codes.num_embeddings).scatter_(1, chosen, 1)
            q = (picks @ self.codes.weight).view_as(z)
            loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(q.detach(), z)
            use = picks.mean(dim=0)
            variety = torch.exp(-torch.sum(use * torch.log(use + 1e-10)))
            return (z + (q - z).detach()).permute(0, 3, 1, 2), loss, variety

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))
            self.quantize = Quantizer()
            self.decode = nn.Sequential(
                nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1)
            )

        def forward(self, x):
            q, loss, variety = self.quantize(self.encode(x))
            return self.decode(q), loss, variety

    model = data.start(Model())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    images, _ = data.digits(240)
    while True:
        for x in torch.utils.data.DataLoader(images, batch_size=24):
            optimizer.zero_grad()
            again, loss, variety = model(x)
            loss = loss + F.mse_loss(again, x) / 0.06
            loss.backward()
            optimizer.step()
            yield loss.item() + variety.item() / 100
