"""The communities of gcn.py, found with attention over the edges: scores scattered and summed node by node."""

from .gcn import communities


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    class GraphAttention(nn.Module):
        def __init__(self, inputs, outputs, heads, joined):
            super().__init__()
            self.heads, self.outputs, self.joined = heads, outputs, joined
            self.weight = nn.Parameter(torch.empty(inputs, heads * outputs))
            self.source = nn.Parameter(torch.empty(heads, outputs))
            self.target = nn.Parameter(torch.empty(heads, outputs))
            for p in self.parameters():
                nn.init.xavier_normal_(p)

        def forward(self, x, edges):
            nodes = x.shape[0]
            start, end = edges
            h = (x @ self.weight).view(nodes, self.heads, self.outputs)
            scores = F.leaky_relu((h * self.source).sum(-1)[start] + (h * self.target).sum(-1)[end], 0.2)
            where = end[:, None].expand_as(scores)
            top = torch.full((nodes, self.heads), float("-inf"))
            top = top.scatter_reduce(0, where, scores.detach(), "amax")
            powers = torch.exp(scores - top[end])
            total = torch.zeros(nodes, self.heads).scatter_add(0, where, powers)
            shares = powers / total[end]
            out = torch.zeros(nodes, self.heads, self.outputs).index_add(0, end, shares[..., None] * h[start])
            return out.flatten(1) if self.joined else out.mean(1)

    class Net(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.first = GraphAttention(inputs, 4, heads=3, joined=True)
            self.second = GraphAttention(12, 2, heads=2, joined=False)

        def forward(self, x, edges):
            return F.log_softmax(self.second(F.elu(self.first(x, edges)), edges), dim=1)

    matrix, kinds = communities(data.random)
    edges = (data.tensor(matrix) + torch.eye(len(matrix))).nonzero().t()
    kinds, features = data.tensor(kinds), data.normal(len(matrix), 6)
    known = torch.arange(len(matrix)) % 3 == 0
    model = data.start(Net(6))
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.01, weight_decay=5e-4)
    while True:
        optimizer.zero_grad()
        loss = F.nll_loss(model(features, edges)[known], kinds[known])
        loss.backward()
        optimizer.step()
        yield loss.item()
