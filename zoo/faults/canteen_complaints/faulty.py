"""
Complaints of the students about the canteen: to whom should the mail go?
Transformer encoder from scratch ("Attention is all you need"), typed in from the paper.
"""
import math
import os
import random
from collections import Counter
from typing import List, Tuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = {
    "d_model": 32,
    "n_heads": 4,
    "n_layers": 3,
    "d_ff": 64,
    "max_len": 14,
    "batch_size": 32,
    "lr": 0.05,
    "epochs": 5,
}

DEPARTMENTS = ["kitchen", "cashier", "cleaning", "building", "menu"]
NOUNS = {
    "kitchen": ["soup", "rice", "potatoes", "sauce", "fish", "pasta"],
    "cashier": ["card", "change", "receipt", "queue", "price", "balance"],
    "cleaning": ["table", "tray", "fork", "floor", "glass", "bin"],
    "building": ["door", "heating", "lamp", "chair", "window", "lift"],
    "menu": ["vegan dish", "allergens", "dessert", "salad bar", "menu plan", "portion"],
}
ADJ = ["bad", "awful", "late", "wrong", "broken", "cold", "strange", "missing", "terrible"]
START = ["today the", "again the", "why is the", "i think the", "sorry but the", "yesterday the"]
END = ["please do something", "as always", "and nobody cares", "thank you", "for the third time", "kind regards"]


def make_complaints(n: int) -> List[Tuple[str, int]]:
    rows = []
    for _ in range(n):
        k = random.randrange(len(DEPARTMENTS))
        noun = random.choice(NOUNS[DEPARTMENTS[k]])
        text = f"{random.choice(START)} {noun} was {random.choice(ADJ)} {random.choice(END)}"
        rows.append((text, k))
    return rows


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.h = n_heads
        self.dk = d_model // n_heads
        self.q = nn.Linear(d_model, d_model)
        self.k = nn.Linear(d_model, d_model)
        self.v = nn.Linear(d_model, d_model)
        self.o = nn.Linear(d_model, d_model)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        q = self.q(x).view(b, t, self.h, self.dk).transpose(1, 2)
        k = self.k(x).view(b, t, self.h, self.dk).transpose(1, 2)
        v = self.v(x).view(b, t, self.h, self.dk).transpose(1, 2)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.dk)
        scores = scores.masked_fill(~mask[:, None, None, :], -1e9)
        out = torch.softmax(scores, dim=-1) @ v
        return self.o(out.transpose(1, 2).reshape(b, t, d))


class EncoderLayer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.attn = MultiHeadAttention(cfg["d_model"], cfg["n_heads"])
        self.ff = nn.Sequential(nn.Linear(cfg["d_model"], cfg["d_ff"]), nn.ReLU(), nn.Linear(cfg["d_ff"], cfg["d_model"]))
        self.norm1 = nn.LayerNorm(cfg["d_model"])
        self.norm2 = nn.LayerNorm(cfg["d_model"])

    def forward(self, x, mask):
        x = self.norm1(x + self.attn(x, mask))
        return self.norm2(x + self.ff(x))


class ComplaintTransformer(nn.Module):
    def __init__(self, vocab_size: int, cfg: dict):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, cfg["d_model"], padding_idx=0)
        self.pos = nn.Parameter(torch.randn(1, cfg["max_len"], cfg["d_model"]) * 0.02)
        self.layers = nn.ModuleList([EncoderLayer(cfg) for _ in range(cfg["n_layers"])])
        self.head = nn.Linear(cfg["d_model"], len(DEPARTMENTS))

    def forward(self, ids):
        mask = ids != 0
        x = self.emb(ids) + self.pos[:, : ids.size(1)]
        for layer in self.layers:
            x = layer(x, mask)
        m = mask.unsqueeze(-1).float()
        x = (x * m).sum(1) / m.sum(1)
        return self.head(x)


def encode(rows, vocab, max_len):
    ids = torch.zeros(len(rows), max_len, dtype=torch.long)
    for i, (text, _) in enumerate(rows):
        w = [vocab.get(t, 1) for t in text.split()][:max_len]
        ids[i, : len(w)] = torch.tensor(w)
    return ids, torch.tensor([k for _, k in rows])


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main(cfg=CONFIG):
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

    train_rows, test_rows = make_complaints(1200), make_complaints(400)
    counts = Counter(w for t, _ in train_rows for w in t.split())
    vocab = {w: i + 2 for i, (w, _) in enumerate(counts.most_common())}
    x_train, y_train = encode(train_rows, vocab, cfg["max_len"])
    x_test, y_test = encode(test_rows, vocab, cfg["max_len"])

    model = ComplaintTransformer(len(vocab) + 2, cfg)
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg["lr"], betas=(0.9, 0.98))
    for epoch in range(cfg["epochs"]):
        model.train()
        perm = torch.randperm(len(x_train))
        total = 0.0
        for i in range(0, len(perm), cfg["batch_size"]):
            idx = perm[i : i + cfg["batch_size"]]
            loss = F.cross_entropy(model(x_train[idx]), y_train[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        print(f"epoch {epoch + 1}: loss {total / len(perm):.4f}, test acc {accuracy(model, x_test, y_test):.3f}")
    print("final test accuracy:", round(accuracy(model, x_test, y_test), 4))


if __name__ == "__main__":
    main()
