"""Digits as sums of few of the pieces of a dictionary: soft thresholds in place, then pieces brought back to length one."""


def program(torch, data):
    F = torch.nn.functional
    images, _ = data.digits(100)
    images = images.flatten(1)
    images -= images.mean(dim=1, keepdim=True)
    pieces = torch.nn.Parameter(F.normalize(data.normal(20, 64), dim=1))
    optimizer = torch.optim.SGD([pieces], lr=0.5, maximize=True)
    while True:
        codes = torch.zeros(len(images), len(pieces), requires_grad=True)
        for _ in range(10):
            misfit = 0.5 * (images - codes @ pieces.detach()).square().sum()
            (slope,) = torch.autograd.grad(misfit, codes)
            with torch.no_grad():
                codes.sub_(slope, alpha=0.1).copy_(codes.sign() * (codes.abs() - 0.05).clamp_min_(0))
        fit = -(images - codes.detach() @ pieces).pow(2).sum(dim=1).mean()
        optimizer.zero_grad()
        fit.backward()
        optimizer.step()
        with torch.no_grad():
            pieces.div_(pieces.norm(dim=1, keepdim=True))
        yield -fit.item() + 0.05 * codes.abs().sum(1).mean().item()
