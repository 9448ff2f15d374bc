"""An image painted after one digit's shapes and another's texture, by ASGD on its pixels and hooks on a fixed net."""


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional
    net = data.start(
        nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3), nn.Tanh()
        )
    )
    net.requires_grad_(False).eval()
    seen = {}
    for i in (1, 4):
        net[i].register_forward_hook(lambda module, inputs, output, i=i: seen.__setitem__(i, output))

    def gram(x):
        features = x.flatten(2)[0]
        return features @ features.t() / features.numel()

    images, _ = data.digits(2)
    net(images[:1])
    shapes = seen[4]
    net(images[1:])
    textures = [gram(seen[i]) for i in (1, 4)]
    painted = images[:1].clone().requires_grad_(True)
    optimizer = torch.optim.ASGD([painted], lr=2.0, t0=10)

    def closure():
        optimizer.zero_grad()
        net(painted)
        loss = 10 * F.mse_loss(seen[4], shapes)
        for i, texture in zip((1, 4), textures, strict=True):
            loss = loss + 1000 * F.mse_loss(gram(seen[i]), texture)
        loss.backward()
        return loss

    while True:
        yield optimizer.step(closure).item()
