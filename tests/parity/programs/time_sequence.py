"""Sine waves continued by two LSTM cells, trained with LBFGS."""


def program(torch, data):
    nn = torch.nn

    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm1 = nn.LSTMCell(1, 8)
            self.lstm2 = nn.LSTMCell(8, 8)
            self.linear = nn.Linear(8, 1)

        def forward(self, waves, future=0):
            zeros = torch.zeros(waves.size(0), 8)
            first, second = (zeros, zeros), (zeros, zeros)
            outputs = []
            for x in waves.split(1, dim=1):
                first = self.lstm1(x, first)
                second = self.lstm2(first[0], second)
                outputs.append(self.linear(second[0]))
            for _ in range(future):
                first = self.lstm1(outputs[-1], first)
                second = self.lstm2(first[0], second)
                outputs.append(self.linear(second[0]))
            return torch.cat(outputs, dim=1)

    model = data.start(Sequence())
    criterion = nn.MSELoss()
    waves = torch.sin(torch.arange(16).float() / 3.0 + data.uniform(6, 1) * 12)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.3, max_iter=2)

    def closure():
        optimizer.zero_grad()
        loss = criterion(model(waves[:, :-1]), waves[:, 1:])
        loss.backward()
        return loss

    while True:
        yield optimizer.step(closure).item()
        with torch.no_grad():
            ahead = model(waves[:, :8], future=7)
            yield criterion(ahead, waves[:, 1:]).item()
