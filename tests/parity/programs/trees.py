"""Sums in brackets judged by a net that is built along each sample's own tree."""


def tree(random, depth=0):
    """A digit, or an operator with two trees below it; with its value."""
    if depth == 3 or (depth > 0 and random.random() < 0.4):
        digit = int(random.integers(-3, 4))
        return digit, digit
    (left, a), (right, b) = tree(random, depth + 1), tree(random, depth + 1)
    kind = int(random.integers(3))
    return (kind, left, right), (a + b, a - b, max(a, b))[kind]


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    class TreeNet(nn.Module):
        """A gated memory cell at each node, which forgets each child as that child tells it (Tai et al. 2015)."""

        def __init__(self, width=16):
            super().__init__()
            self.leaves = nn.Embedding(7, width)
            self.gates = nn.ModuleDict(
                {kind: nn.Linear(2 * width, 5 * width) for kind in ("add", "sub", "max")}
            )
            self.judge = nn.Linear(width, 1)

        def state(self, node):
            if isinstance(node, int):
                leaf = self.leaves(torch.tensor([node + 3]))
                return torch.tanh(leaf), leaf
            kind, *below = node
            (h1, c1), (h2, c2) = map(self.state, below)
            gates = self.gates[("add", "sub", "max")[kind]](torch.cat([h1, h2], 1))
            i, f1, f2, o, u = gates.chunk(5, dim=1)
            c = i.sigmoid() * u.tanh() + f1.sigmoid() * c1 + f2.sigmoid() * c2
            return o.sigmoid() * c.tanh(), c

        def forward(self, node):
            return self.judge(self.state(node)[0]).view(())

    model = data.start(TreeNet())
    optimizer = torch.optim.RAdam(model.parameters(), lr=2e-2)
    while True:
        batch = [tree(data.random) for _ in range(5)]
        judged = torch.stack([model(node) for node, _ in batch])
        answers = torch.tensor([float(value > 0) for _, value in batch])
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(judged, answers)
        loss.backward()
        optimizer.step()
        yield loss.item()
