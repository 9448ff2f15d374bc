"""Digits learned with every sample's gradient clipped and noise added: vmap over grad (Abadi et al. 2016)."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    model = data.start(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10)))
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def loss_of(weights, image, label):
        scores = torch.func.functional_call(model, weights, (image.unsqueeze(0),))
        return F.cross_entropy(scores, label.unsqueeze(0))

    gradients = torch.func.vmap(torch.func.grad_and_value(loss_of), in_dims=(None, 0, 0))
    images, labels = data.digits(240)
    while True:
        for x, y in zip(images.split(24), labels.split(24), strict=True):
            grads, losses = gradients(weights, x, y)
            norms = torch.stack([g.flatten(1).norm(dim=1) for g in grads.values()], 1).norm(dim=1)
            scale = (1.0 / (norms + 1e-6)).clamp(max=1.0)
            for name, g in grads.items():
                clipped = torch.einsum("b,b...->...", scale, g) + 0.1 * data.normal(*g.shape[1:])
                weights[name] = weights[name] - 0.5 * clipped / len(x)
            yield losses.mean().item()
