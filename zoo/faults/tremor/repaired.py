"""Which of four exercises is it? Accelerometer traces of different duration, one GRU."""
import math
import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

EXERCISES = ["squat", "row", "lunge", "press"]
SEED = 31


def record(label):
    """One trace: three axes, 12 to 60 readings."""
    n = random.randint(12, 60)
    t = torch.arange(n) / 10.0
    pace = random.uniform(0.8, 1.2)
    phase = random.uniform(0, 2 * math.pi)
    lag = [0.0, 0.9, 1.8, 2.7][label]
    x = torch.sin(2 * math.pi * pace * t + phase)
    y = torch.sin(2 * math.pi * pace * t + phase + lag)
    z = 0.5 * torch.cos(4 * math.pi * pace * t + phase)
    return torch.stack([x, y, z], dim=1) + 0.3 * torch.randn(n, 3)


def make_set(n):
    labels = [random.randrange(len(EXERCISES)) for _ in range(n)]
    return [(record(k), k) for k in labels]


def collate(items):
    traces, labels = zip(*items)
    lengths = torch.tensor([len(t) for t in traces])
    return pad_sequence(traces, batch_first=True), lengths, torch.tensor(labels)


class TraceClassifier(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.gru = nn.GRU(3, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(EXERCISES))

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, _ = self.gru(packed)
        out, _ = pad_packed_sequence(out, batch_first=True)
        summary = out[torch.arange(len(out)), lengths - 1]
        return self.head(summary)


def accuracy(model, items):
    model.eval()
    x, lengths, y = collate(items)
    with torch.no_grad():
        hits = model(x, lengths).argmax(1) == y
    model.train()
    return hits.float().mean().item()


def main():
    random.seed(SEED)
    torch.manual_seed(31)
    train_items, test_items = make_set(640), make_set(300)
    model = TraceClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(8):
        random.shuffle(train_items)
        total = 0.0
        for start in range(0, len(train_items), 32):
            x, lengths, y = collate(train_items[start : start + 32])
            loss = F.cross_entropy(model(x, lengths), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(y)
        print(f"epoch {epoch + 1} loss {total / len(train_items):.3f} test accuracy {accuracy(model, test_items):.3f}")


if __name__ == "__main__":
    main()
