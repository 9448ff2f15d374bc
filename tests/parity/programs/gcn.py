"""Two communities of a small graph found by a graph convolutional net from one labelled node of each."""

import numpy as np


def communities(random, nodes=24):
    """A graph of two halves, each node with most of its edges in its own, as a symmetric matrix of zeros and ones."""
    half = np.arange(nodes) < nodes // 2
    chance = np.where(half[:, None] == half[None, :], 0.4, 0.05)
    upper = np.triu(random.random((nodes, nodes)) < chance, 1)
    return (upper | upper.T).astype(float), (~half).astype(np.int64)


def program(torch, data):
    nn, F = torch.nn, torch.nn.functional

    class GraphConv(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.kernel = nn.Parameter(torch.empty(inputs, outputs))
            self.bias = nn.Parameter(torch.zeros(outputs))
            nn.init.xavier_normal_(self.kernel)

        def forward(self, x, graph):
            return graph @ (x @ self.kernel) + self.bias

    class Net(nn.Module):
        def __init__(self, nodes):
            super().__init__()
            self.layers = nn.ModuleList([GraphConv(nodes, 16), GraphConv(16, 2)])

        def forward(self, x, graph, kept):
            x = F.relu(self.layers[0](x, graph)) * kept
            return F.log_softmax(self.layers[1](x, graph), dim=1)

    edges, kinds = communities(data.random)
    graph = data.tensor(edges) + torch.eye(len(edges))
    scale = graph.sum(1).pow(-0.5)
    graph = scale[:, None] * graph * scale[None, :]
    kinds = data.tensor(kinds)
    known = torch.tensor([0, 1, len(edges) - 1])
    model = data.start(Net(len(edges)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
    while True:
        model.train()
        optimizer.zero_grad()
        output = model(torch.eye(len(edges)), graph, data.kept(0.2, len(edges), 16))
        loss = F.nll_loss(output[known], kinds[known])
        loss.backward()
        optimizer.step()
        yield loss.item()
