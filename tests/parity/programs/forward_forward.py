"""Digits learned by layers that each have their own loss and see no gradient of the others (Hinton 2022)."""


def program(torch, data):
    nn = torch.nn

    class Layer(nn.Linear):
        def __init__(self, inputs, outputs):
            super().__init__(inputs, outputs)
            self.activation = nn.ReLU()
            self.optimizer = torch.optim.Adam(self.parameters(), lr=0.02)

        def forward(self, x):
            direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
            return self.activation(torch.mm(direction, self.weight.T) + self.bias.unsqueeze(0))

        def learn(self, good, bad):
            g_good = self.forward(good).pow(2).mean(1)
            g_bad = self.forward(bad).pow(2).mean(1)
            loss = torch.log(1 + torch.exp(torch.cat([-g_good + 2.0, g_bad - 2.0]))).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return self.forward(good).detach(), self.forward(bad).detach(), loss.item()

    def labelled(x, y):
        x = x.clone()
        x[:, :10] *= 0.0
        x[range(x.shape[0]), y] = x.max()
        return x

    layers = [data.start(Layer(74, 40)), data.start(Layer(40, 40))]
    images, labels = data.digits(100)
    x = torch.cat([torch.zeros(100, 10), images.flatten(1)], dim=1)
    while True:
        wrong = (labels + 1 + data.integers(9, 100)) % 10
        good, bad = labelled(x, labels), labelled(x, wrong)
        losses = []
        for layer in layers:
            good, bad, loss = layer.learn(good, bad)
            losses.append(loss)
        yield sum(losses)
