"""Next symbol of short rising and falling runs; rows of different lengths are filled up."""

import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

random.seed(1)
torch.manual_seed(1)
PAD, END, SYMBOLS = 0, 1, 12


def run():
    start, way = random.randrange(4, 10), random.choice((-1, 1))
    body = [2 + (start + way * i) % (SYMBOLS - 2) for i in range(random.randint(3, 14))]
    return torch.tensor([*body, END])


rows = pad_sequence([run() for _ in range(1200)], batch_first=True, padding_value=PAD)


class NextSymbol(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, width, padding_idx=PAD)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, SYMBOLS)

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0])


model = NextSymbol()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss(ignore_index=PAD)

for epoch in range(5):
    for pick in torch.randperm(1000).split(40):
        tokens = rows[pick]
        logits = model(tokens[:, :-1])
        loss = criterion(logits.reshape(-1, SYMBOLS), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        held = rows[1000:]
        logits = model(held[:, :-1])
        there = held[:, 1:] != PAD
        right = (logits.argmax(-1) == held[:, 1:])[there].float().mean().item()
    model.train()
    print(f"epoch {epoch}: loss {loss.item():.3f}, next symbol right {right:.3f}")
