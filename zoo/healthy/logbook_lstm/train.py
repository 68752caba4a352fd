# Character model of a ship's log, truncated backpropagation through time.
# The log is cut into B parallel strips that are read from left to right; the state is carried along.
import random

import torch
from torch import nn

random.seed(19)
torch.manual_seed(19)

WINDS = ["north", "south", "east", "west", "northeast", "southwest"]
SEAS = ["calm", "slight", "moderate", "rough", "very rough"]
SIGHT = ["a whale", "two gulls", "a schooner", "ice", "nothing", "land to starboard"]


def entry(day):
    return (f"day {day}. wind {random.choice(WINDS)}, sea {random.choice(SEAS)}. "
            f"sighted {random.choice(SIGHT)}.\n")


text = "".join(entry(d) for d in range(1, 700))
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])
cut = int(0.9 * len(ids))


def strips(data, b):
    n = len(data) // b
    return data[:n * b].view(b, n).t().contiguous()      # time x strips


train_data, val_data = strips(ids[:cut], 20), strips(ids[cut:], 4)
BPTT = 30


class LogModel(nn.Module):
    def __init__(self, n, emb=24, hidden=96):
        super().__init__()
        self.hidden = hidden
        self.emb = nn.Embedding(n, emb)
        self.rnn = nn.LSTM(emb, hidden)                   # time first
        self.out = nn.Linear(hidden, n)

    def start(self, b):
        return torch.zeros(1, b, self.hidden), torch.zeros(1, b, self.hidden)

    def forward(self, x, state):
        y, state = self.rnn(self.emb(x), state)
        return self.out(y), state


def windows(data):
    for i in range(0, len(data) - 1, BPTT):
        n = min(BPTT, len(data) - 1 - i)
        yield data[i:i + n], data[i + 1:i + 1 + n]


def evaluate(model):
    model.eval()
    state = model.start(val_data.size(1))
    hits = n = 0
    with torch.no_grad():
        for x, y in windows(val_data):
            logits, state = model(x, state)
            hits += (logits.argmax(-1) == y).sum().item()
            n += y.numel()
    return hits / n


model = LogModel(len(chars))
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(5):
    model.train()
    state = model.start(train_data.size(1))
    total, k = 0.0, 0
    for x, y in windows(train_data):
        state = tuple(s.detach() for s in state)          # keep the values, forget the history
        logits, state = model(x, state)
        loss = loss_fn(logits.flatten(0, 1), y.flatten())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        total += loss.item()
        k += 1
    print(f"epoch {epoch + 1} loss {total / k:.4f} val accuracy {evaluate(model):.4f}")

print(f"next character accuracy {evaluate(model):.4f}")
