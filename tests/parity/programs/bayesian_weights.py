"""A curve fitted by weights that are bells themselves, held near a prior by kl_divergence (Blundell et al. 2015)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    Normal, kl_divergence = torch.distributions.Normal, torch.distributions.kl_divergence

    class BayesLinear(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.mean = nn.Parameter(torch.empty(outputs, inputs + 1))
            self.rho = nn.Parameter(torch.full((outputs, inputs + 1), -3.0))
            nn.init.kaiming_uniform_(self.mean, a=5**0.5)

        def forward(self, x):
            bells = Normal(self.mean, F.softplus(self.rho))
            weights = bells.loc + bells.scale * data.normal(*self.mean.shape)
            self.cost = kl_divergence(bells, Normal(0.0, 1.0)).sum()
            return F.linear(x, weights[:, :-1], weights[:, -1])

    model = data.start(nn.Sequential(BayesLinear(1, 16), nn.Tanh(), BayesLinear(16, 1)))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x = torch.linspace(-2, 2, 40).unsqueeze(1)
    y = x.sin() * x + 0.1 * data.normal(40, 1)
    while True:
        optimizer.zero_grad()
        likely = Normal(model(x), torch.tensor(0.2)).log_prob(y).sum()
        cost = sum(layer.cost for layer in model.children() if hasattr(layer, "cost"))
        loss = (cost * 0.1 - likely) / 40
        loss.backward()
        optimizer.step()
        yield loss.item()
