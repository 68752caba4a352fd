"""Rewrite dates from parish registers ("3rd of march, 1847") in ISO form with a small Transformer."""
import datetime as dt
import math
import random

import torch
from torch import nn
from torch.utils.data import DataLoader

PAD, BOS, EOS = 0, 1, 2
SOURCE = {c: i + 3 for i, c in enumerate("abcdefghijklmnopqrstuvwxyz0123456789 ,./'")}
TARGET = {c: i + 3 for i, c in enumerate("0123456789-")}
MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
          "november", "december"]


def ordinal(n):
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def write(day, rng):
    month = MONTHS[day.month - 1]
    return rng.choice([
        f"{ordinal(day.day)} of {month}, {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{day.day} {month[:3]}. {day.year}",
        f"{day.day:02d}/{day.month:02d}/{day.year}",
        f"{month[:3]} {ordinal(day.day)} '{day.year % 100:02d}",
    ])


def make_split(seed=0):
    rng = random.Random(seed)
    start, days = dt.date(1800, 1, 1), (dt.date(1899, 12, 31) - dt.date(1800, 1, 1)).days
    chosen = rng.sample(range(days), 5500)         # every day is in one split only
    pairs = []
    for offset in chosen:
        day = start + dt.timedelta(days=offset)
        pairs.append((write(day, rng), day.isoformat()))
    return pairs[:5200], pairs[5200:]


def collate(pairs):
    def pad(rows):
        width = max(map(len, rows))
        return torch.tensor([r + [PAD] * (width - len(r)) for r in rows])
    src = pad([[SOURCE[c] for c in a] for a, _ in pairs])
    tgt = pad([[BOS] + [TARGET[c] for c in b] + [EOS] for _, b in pairs])
    return src, tgt


class Scribe(nn.Module):
    def __init__(self, d=48, max_len=40):
        super().__init__()
        self.d = d
        self.src_embed = nn.Embedding(len(SOURCE) + 3, d, padding_idx=PAD)
        self.tgt_embed = nn.Embedding(len(TARGET) + 3, d, padding_idx=PAD)
        position = torch.arange(max_len).unsqueeze(1)
        rate = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
        table = torch.zeros(max_len, d)
        table[:, 0::2], table[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
        self.register_buffer("table", table, persistent=False)
        self.core = nn.Transformer(d, nhead=4, num_encoder_layers=2, num_decoder_layers=1, dim_feedforward=96,
                                   dropout=0.0, batch_first=True)
        self.out = nn.Linear(d, len(TARGET) + 3)
        for embed in (self.src_embed, self.tgt_embed):
            nn.init.normal_(embed.weight, std=d ** -0.5)
            nn.init.zeros_(embed.weight[PAD].detach())

    def place(self, embed, ids):
        return embed(ids) * math.sqrt(self.d) + self.table[:ids.shape[1]]

    def forward(self, src, tgt):
        length = tgt.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).triu(1)
        h = self.core(self.place(self.src_embed, src), self.place(self.tgt_embed, tgt), tgt_mask=causal,
                      src_key_padding_mask=src == PAD, tgt_key_padding_mask=tgt == PAD,
                      memory_key_padding_mask=src == PAD)
        return self.out(h)

    @torch.no_grad()
    def greedy(self, src, steps=11):
        ids = torch.full((len(src), 1), BOS)
        for _ in range(steps):
            ids = torch.cat([ids, self(src, ids)[:, -1].argmax(-1, keepdim=True)], 1)
        return ids[:, 1:]


class Trainer:
    def __init__(self, model, train_pairs, test_pairs, epochs=4, peak=4e-3, warmup=100):
        self.model, self.epochs = model, epochs
        self.train_loader = DataLoader(train_pairs, batch_size=64, shuffle=True, collate_fn=collate)
        self.test_loader = DataLoader(test_pairs, batch_size=200, collate_fn=collate)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=peak, betas=(0.9, 0.98), eps=1e-9)
        total = epochs * len(self.train_loader)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda s: min((s + 1) / warmup, max(0.02, 1 - (s - warmup) / (total - warmup))))
        self.criterion = nn.CrossEntropyLoss(ignore_index=PAD)

    def epoch(self):
        self.model.train()
        losses = []
        for src, tgt in self.train_loader:
            logits = self.model(src, tgt[:, :-1])
            loss = self.criterion(logits.flatten(0, 1), tgt[:, 1:].flatten())
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.scheduler.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    def exact_match(self):
        self.model.eval()
        good = total = 0
        for src, tgt in self.test_loader:
            good += (self.model.greedy(src) == tgt[:, 1:]).all(1).sum().item()
            total += len(src)
        return good / total

    def fit(self):
        for e in range(self.epochs):
            print(f"epoch {e}: loss {self.epoch():.4f}")
        print(f"exact matches on unseen days: {self.exact_match():.4f}")


if __name__ == "__main__":
    torch.manual_seed(1)
    Trainer(Scribe(), *make_split()).fit()
