"""Which of four islands does a surname come from? Character level, bidirectional GRU."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

seed = int(os.environ.get("SEED", "0"))

ISLANDS = {
    "north": (["ka", "ro", "te", "mi", "su", "na"], ["k", "n", "r"]),
    "south": (["ke", "ra", "ti", "mo", "sa", "nu"], ["t", "n", "s"]),
    "east": (["ko", "re", "ta", "mu", "se", "ni"], ["k", "s", "m"]),
    "west": (["ki", "ru", "to", "ma", "so", "ne"], ["r", "m", "t"]),
}
ALPHABET = {c: i + 1 for i, c in enumerate("abcdefghijklmnopqrstuvwxyz")}


def surname(island, rng):
    syllables, endings = ISLANDS[island]
    pool = syllables if rng.random() < 0.9 else [s for p, _ in ISLANDS.values() for s in p]
    name = "".join(rng.choice(pool) for _ in range(rng.randint(2, 4)))
    return name + (rng.choice(endings) if rng.random() < 0.5 else "")


def make(n, rng):
    names = list(ISLANDS)
    rows = []
    for _ in range(n):
        k = rng.randrange(len(names))
        rows.append((surname(names[k], rng), k))
    return rows


def collate(rows):
    ids = [torch.tensor([ALPHABET[c] for c in name]) for name, _ in rows]
    lengths = torch.tensor([len(i) for i in ids])
    return pad_sequence(ids, batch_first=True), lengths, torch.tensor([k for _, k in rows])


class Origin(nn.Module):
    def __init__(self, emb=16, hidden=32, classes=4):
        super().__init__()
        self.emb = nn.Embedding(27, emb, padding_idx=0)
        self.gru = nn.GRU(emb, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, chars, lengths):
        packed = pack_padded_sequence(self.emb(chars), lengths, batch_first=True, enforce_sorted=False)
        _, h = self.gru(packed)
        # last state of both directions side by side
        h = h.reshape(chars.size(0), -1)
        return self.head(self.drop(h))


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    right = total = 0
    for chars, lengths, y in loader:
        right += (model(chars, lengths).argmax(-1) == y).sum().item()
        total += y.numel()
    return right / total


def main():
    torch.manual_seed(seed)
    np.random.seed(seed)
    rng = random.Random(seed)
    train, test = make(2400, rng), make(600, rng)
    train_loader = DataLoader(train, 64, shuffle=True, collate_fn=collate)
    test_loader = DataLoader(test, 100, collate_fn=collate)
    model = Origin()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(7):
        model.train()
        losses = []
        for chars, lengths, y in train_loader:
            loss = criterion(model(chars, lengths), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} loss {np.mean(losses):.4f} accuracy {evaluate(model, test_loader):.4f}")
    print(f"final accuracy {evaluate(model, test_loader):.4f}")


main()
