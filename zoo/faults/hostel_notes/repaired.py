"""Guests leave short notes in the hostel's guest book. Sort them into happy and unhappy ones."""
import math
import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CONFIG = {
    "seed": int(os.environ.get("SEED", "0")),
    "n_notes": 2000,
    "max_len": 16,
    "d_model": 32,
    "n_heads": 4,
    "n_layers": 2,
    "dropout": 0.1,
    "batch_size": 64,
    "epochs": 8,
    "lr": 0.001,
    "clip": 1.0,
}

THINGS = "room bed shower kitchen breakfast staff view garden price wifi".split()
GOOD = "clean lovely quiet friendly warm great perfect bright".split()
BAD = "dirty awful loud rude cold broken terrible dark".split()
FILLER = "we stayed here two nights in may and came back with the kids".split()


def write_note(rng):
    happy = rng.random() < 0.5
    words = rng.sample(FILLER, rng.randint(1, 4))
    for _ in range(rng.randint(1, 2)):
        negated = rng.random() < 0.4
        pool = GOOD if happy != negated else BAD
        words += ["the", rng.choice(THINGS), "was"] + (["not"] if negated else []) + [rng.choice(pool)]
    return words, int(happy)


def build_data(cfg):
    rng = random.Random(cfg["seed"])
    notes = [write_note(rng) for _ in range(cfg["n_notes"])]
    vocab = {w: i + 1 for i, w in enumerate(sorted({w for words, _ in notes for w in words}))}
    x = torch.zeros(len(notes), cfg["max_len"], dtype=torch.long)
    for i, (words, _) in enumerate(notes):
        ids = [vocab[w] for w in words][: cfg["max_len"]]
        x[i, : len(ids)] = torch.tensor(ids)
    y = torch.tensor([label for _, label in notes])
    return x, y, vocab


class NoteClassifier(nn.Module):
    def __init__(self, vocab_size, cfg):
        super().__init__()
        d = cfg["d_model"]
        self.embed = nn.Embedding(vocab_size + 1, d, padding_idx=0)
        pos = torch.arange(cfg["max_len"]).unsqueeze(1)
        div = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
        pe = torch.zeros(cfg["max_len"], d)
        pe[:, 0::2] = torch.sin(pos * div)
        pe[:, 1::2] = torch.cos(pos * div)
        self.register_buffer("pe", pe)
        layer = nn.TransformerEncoderLayer(d, cfg["n_heads"], 2 * d, cfg["dropout"], batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, cfg["n_layers"], enable_nested_tensor=False)
        self.out = nn.Linear(d, 2)

    def forward(self, x):
        pad = x == 0
        h = self.encoder(self.embed(x) + self.pe, src_key_padding_mask=pad)
        keep = (~pad).unsqueeze(-1).float()
        return self.out((h * keep).sum(1) / keep.sum(1))


def train_epoch(model, loader, criterion, optimizer, cfg):
    model.train()
    running = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), cfg["clip"])
        optimizer.step()
        running += loss.item() * len(xb)
    return running / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    hits = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in loader)
    return hits / len(loader.dataset)


def main(cfg):
    torch.manual_seed(cfg["seed"])
    np.random.seed(cfg["seed"])
    random.seed(cfg["seed"])
    x, y, vocab = build_data(cfg)
    cut = int(0.8 * len(x))
    train_loader = DataLoader(TensorDataset(x[:cut], y[:cut]), batch_size=cfg["batch_size"], shuffle=True)
    test_loader = DataLoader(TensorDataset(x[cut:], y[cut:]), batch_size=256)
    model = NoteClassifier(len(vocab), cfg)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    print(f"{len(vocab)} words, {sum(p.numel() for p in model.parameters())} parameters")
    for epoch in range(cfg["epochs"]):
        loss = train_epoch(model, train_loader, criterion, optimizer, cfg)
        print(f"epoch {epoch + 1:2d}  loss {loss:.4f}  val acc {evaluate(model, test_loader):.3f}")
    print(f"test accuracy {evaluate(model, test_loader):.4f}")


if __name__ == "__main__":
    main(CONFIG)
