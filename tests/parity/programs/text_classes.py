"""Sentences of any length sorted by the sum of their words' vectors, with an EmbeddingBag and a step schedule."""


def program(torch, data):
    nn = torch.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.EmbeddingBag(40, 8, mode="mean")
            self.fc = nn.Linear(8, 3)

        def forward(self, words, offsets):
            return self.fc(self.embedding(words, offsets))

    model = data.start(Model())
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[6, 12], gamma=0.5)

    def collate(batch):
        labels = torch.tensor([label for label, _ in batch])
        offsets = torch.tensor([0] + [len(words) for _, words in batch[:-1]]).cumsum(dim=0)
        return labels, torch.cat([words for _, words in batch]), offsets

    sentences = []
    for _ in range(80):
        label = int(data.random.integers(3))
        chosen = data.random.integers(40, size=data.random.integers(2, 9))
        topical = data.random.integers(10 * label, 10 * label + 10, size=2)
        sentences.append((label, data.tensor([*chosen.tolist(), *topical.tolist()])))
    loader = torch.utils.data.DataLoader(sentences, batch_size=16, shuffle=False, collate_fn=collate)
    while True:
        for labels, words, offsets in loader:
            optimizer.zero_grad()
            loss = criterion(model(words, offsets), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            yield loss.item()
            scheduler.step()
