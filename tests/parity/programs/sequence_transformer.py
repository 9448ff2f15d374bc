"""Sequences sorted by nn.Transformer, encoder and decoder with their masks, at a rate that goes round."""


def program(torch, data):
    nn = torch.nn
    known, length, width = 8, 6, 16

    class Sorter(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(known + 1, width)
            self.places = nn.Parameter(torch.zeros(1, length, width))
            self.transformer = nn.Transformer(
                batch_first=True,
                d_model=width,
                nhead=2,
                num_encoder_layers=1,
                num_decoder_layers=2,
                dim_feedforward=32,
                dropout=0.0,
            )
            self.out = nn.Linear(width, known)
            nn.init.normal_(self.places, std=0.1)

        def forward(self, source, target):
            mask = nn.Transformer.generate_square_subsequent_mask(length)
            x, y = self.embed(source) + self.places, self.embed(target) + self.places
            return self.out(self.transformer(x, y, tgt_mask=mask))

    model = data.start(Sorter())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=8, mode="triangular2")
    criterion = nn.CrossEntropyLoss()
    while True:
        source = data.integers(known, 12, length)
        wanted, _ = source.sort(dim=1)
        target = torch.cat((torch.full((12, 1), known), wanted[:, :-1]), dim=1)
        loss = criterion(model(source, target).flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        yield loss.item()
