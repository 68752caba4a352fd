"""Guest book of a hotel: did this guest like the FOOD? Small transformer over words."""
import math
import random
from typing import List, Tuple

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

FOOD = ["soup", "breakfast", "dinner"]
ROOM = ["room", "bed", "view"]
GOOD = ["lovely", "splendid", "charming"]
BAD = ["dreadful", "poor", "tired"]
EXTRA = ["really", "quite"]
WORDS = ["<pad>", "the", "was", "and", "but"] + FOOD + ROOM + GOOD + BAD + EXTRA
INDEX = {w: i for i, w in enumerate(WORDS)}
MAX_LEN = 12


def write_entry() -> Tuple[List[str], int]:
    clauses, liked = [], 0
    topics = [FOOD, ROOM]
    random.shuffle(topics)
    for topic in topics:
        good = random.random() < 0.5
        words = ["the", random.choice(topic), "was"]
        if random.random() < 0.4:
            words.append(random.choice(EXTRA))
        words.append(random.choice(GOOD if good else BAD))
        clauses.append(words)
        if topic is FOOD:
            liked = int(good)
    entry = clauses[0]
    for c in clauses[1:]:
        entry = entry + [random.choice(["and", "but"])] + c
    return entry, liked


class GuestBook(Dataset):
    def __init__(self, n: int):
        entries = [write_entry() for _ in range(n)]
        self.x = torch.zeros(n, MAX_LEN, dtype=torch.long)
        for i, (words, _) in enumerate(entries):
            self.x[i, :len(words)] = torch.tensor([INDEX[w] for w in words])
        self.y = torch.tensor([label for _, label in entries])

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class PositionalEncoding(nn.Module):
    def __init__(self, d_model: int, max_len: int = 64):
        super().__init__()
        pos = torch.arange(max_len).unsqueeze(1)
        div = torch.exp(torch.arange(0, d_model, 2) * (-math.log(1000.0) / d_model))
        pe = torch.zeros(max_len, d_model)
        pe[:, 0::2] = torch.sin(pos * div)
        pe[:, 1::2] = torch.cos(pos * div)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(1)]


class Classifier(nn.Module):
    def __init__(self, d_model: int = 32, heads: int = 4, layers: int = 2):
        super().__init__()
        self.emb = nn.Embedding(len(WORDS), d_model, padding_idx=0)
        self.pos = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(d_model, heads, dim_feedforward=64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.head = nn.Linear(d_model, 2)

    def forward(self, x):
        h = self.encoder(self.pos(self.emb(x)))          # (batch, words, d_model)
        real = (x != 0).unsqueeze(-1).float()
        return self.head((h * real).sum(1) / real.sum(1))


class Trainer:
    def __init__(self, model, train_set, val_set, epochs=7, lr=2e-3):
        self.model, self.epochs = model, epochs
        self.train_loader = DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
        self.val_loader = DataLoader(val_set, batch_size=32)
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, epochs)
        self.loss_fn = nn.CrossEntropyLoss()

    def train_epoch(self) -> float:
        self.model.train()
        total = 0.0
        for x, y in self.train_loader:
            loss = self.loss_fn(self.model(x), y)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            total += loss.item()
        self.sched.step()
        return total / len(self.train_loader)

    @torch.no_grad()
    def accuracy(self) -> float:
        self.model.eval()
        hits = sum((self.model(x).argmax(1) == y).sum().item() for x, y in self.val_loader)
        return hits / len(self.val_loader.dataset)

    def fit(self):
        for epoch in range(1, self.epochs + 1):
            loss = self.train_epoch()
            print(f"epoch {epoch:2d}  loss {loss:.4f}  val accuracy {self.accuracy():.3f}")


if __name__ == "__main__":
    random.seed(13)
    torch.manual_seed(13)
    trainer = Trainer(Classifier(), GuestBook(3000), GuestBook(500))
    trainer.fit()
    print(f"final accuracy {trainer.accuracy():.4f}")
