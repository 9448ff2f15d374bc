"""A polynomial of degree four fitted by a linear layer, its parameters moved by hand."""


def program(torch, data):
    F = torch.nn.functional
    wanted, offset = data.normal(4, 1) * 5, data.normal(1) * 5
    layer = data.start(torch.nn.Linear(4, 1))
    while True:
        x = data.normal(32).unsqueeze(1)
        features = torch.cat([x**i for i in range(1, 5)], 1)
        layer.zero_grad()
        loss = F.smooth_l1_loss(layer(features), features.mm(wanted) + offset[0])
        loss.backward()
        for p in layer.parameters():
            p.data.add_(-0.1 * p.grad)
        yield loss.item()
