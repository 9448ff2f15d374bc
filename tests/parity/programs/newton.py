"""A logistic curve of two kinds of points fitted by Newton's method, with the Hessian of torch.func."""


def program(torch, data):
    F = torch.nn.functional
    true = data.normal(5)
    x = torch.cat((data.normal(60, 4), torch.ones(60, 1)), dim=1)
    y = (x @ true + data.normal(60) > 0).float()
    weights = data.normal(5)

    def loss_of(w):
        return F.binary_cross_entropy_with_logits(x @ w, y) + 0.05 * w.square().sum()

    while True:
        yield loss_of(weights).item()
        slope, bend = torch.func.grad(loss_of)(weights), torch.func.hessian(loss_of)(weights)
        weights = weights - 0.1 * torch.linalg.solve(bend, slope)
