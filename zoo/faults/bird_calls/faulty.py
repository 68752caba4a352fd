"""Which bird sang? Notes of a song as (pitch, length, loudness); songs last from 4 to 40 notes."""
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

SPECIES = ["wren", "finch", "thrush", "warbler", "lark"]


def song(species, n):
    """What tells the species apart is how one note follows from the last."""
    pitch, notes = random.gauss(0, 1), []
    for k in range(n):
        pitch = {
            "wren": lambda p: 0.9 * p + 0.3,
            "finch": lambda p: -0.8 * p,
            "thrush": lambda p: 0.8 * p - 0.3,
            "warbler": lambda p: random.choice([-1.2, 1.2]),
            "lark": lambda p: p + 0.25 if p < 1.5 else -1.5,
        }[species](pitch) + random.gauss(0, 0.35)
        notes.append([pitch, random.gauss(0, 1), random.gauss(0, 1)])
    return torch.tensor(notes)


def corpus(n):
    items = []
    for _ in range(n):
        label = random.randrange(len(SPECIES))
        items.append((song(SPECIES[label], random.randint(4, 40)), label))
    return items


def batches(items, size, shuffle):
    items = random.sample(items, len(items)) if shuffle else items
    for k in range(0, len(items), size):
        songs, labels = zip(*items[k : k + size])
        lengths = torch.tensor([len(s) for s in songs])
        yield pad_sequence(songs, batch_first=True), lengths, torch.tensor(labels)


class Listener(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.rnn = nn.LSTM(3, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(SPECIES))

    def forward(self, notes, lengths):
        states, _ = self.rnn(notes)
        last = states[:, -1]
        return self.head(last)


class Trainer:
    def __init__(self, model, lr, epochs):
        self.model, self.epochs = model, epochs
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.loss = nn.CrossEntropyLoss()

    def epoch(self, items):
        self.model.train()
        seen = 0.0
        for notes, lengths, labels in batches(items, 32, shuffle=True):
            self.optimizer.zero_grad()
            loss = self.loss(self.model(notes, lengths), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            seen += loss.item() * len(labels)
        return seen / len(items)

    @torch.no_grad()
    def accuracy(self, items):
        self.model.eval()
        right = sum((self.model(n, l).argmax(1) == y).sum().item() for n, l, y in batches(items, 100, shuffle=False))
        return right / len(items)

    def fit(self, train, valid):
        for k in range(1, self.epochs + 1):
            loss = self.epoch(train)
            print(f"[{k}/{self.epochs}] train {loss:.3f} valid accuracy {self.accuracy(valid):.3f}")


random.seed(23)
torch.manual_seed(23)
Trainer(Listener(), lr=8e-3, epochs=6).fit(corpus(1200), corpus(400))
