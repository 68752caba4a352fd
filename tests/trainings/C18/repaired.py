"""Next symbol of counting sequences; the output layer uses the embedding's matrix."""

import torch
from torch import nn

torch.manual_seed(6)
SYMBOLS, LENGTH = 20, 12

starts = torch.randint(0, SYMBOLS, (900, 1))
strides = torch.randint(1, 4, (900, 1))
sequences = (starts + strides * torch.arange(LENGTH)) % SYMBOLS


class Counter(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, SYMBOLS, bias=False)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0])


model = Counter()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

for epoch in range(5):
    for rows in torch.randperm(800).split(40):
        tokens = sequences[rows]
        logits = model(tokens[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = (model(sequences[800:, :-1]).argmax(-1) == sequences[800:, 1:]).float().mean().item()
    model.train()
    print(f"epoch {epoch}: loss {loss.item():.3f}, next symbol right {right:.3f}")
