"""Next symbol of sequences of very different lengths, with gradients accumulated over small parts of a batch."""

import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

random.seed(4)
torch.manual_seed(4)
SYMBOLS, PAD, PARTS = 10, 10, 4


def sequence():
    start, stride = random.randrange(SYMBOLS), random.choice((1, 3))
    return torch.tensor([(start + stride * i) % SYMBOLS for i in range(random.choice((4, 6, 9, 24)))])


class NextSymbol(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS + 1, width, padding_idx=PAD)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, SYMBOLS)

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0])


sequences = [sequence() for _ in range(800)]
model = NextSymbol()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss(ignore_index=PAD)

for epoch in range(3):
    random.shuffle(sequences)
    for first in range(0, len(sequences), 2 * PARTS):
        batch = sequences[first : first + 2 * PARTS]
        optimizer.zero_grad()
        for part in range(PARTS):
            tokens = pad_sequence(batch[2 * part : 2 * part + 2], batch_first=True, padding_value=PAD)
            logits = model(tokens[:, :-1])
            loss = criterion(logits.flatten(0, 1), tokens[:, 1:].flatten()) / PARTS
            loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
