"""Read plant equipment tags aloud: "PMP-031-A" -> "pump zero three one alpha"."""
import random
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
random.seed(11)

UNITS = {"PMP": "pump", "VLV": "valve", "TNK": "tank", "MTR": "motor", "FLT": "filter", "HEX": "exchanger"}
DIGITS = "zero one two three four five six seven eight nine".split()
SUFFIX = {"A": "alpha", "B": "bravo", "C": "charlie", "D": "delta"}
SOS = "<s>"


@dataclass
class JobConfig:
    n_train: int = 3000
    n_test: int = 600
    hidden: int = 64
    batch_size: int = 64
    epochs: int = 8
    lr: float = 3e-3


def make_tags(n: int) -> list[tuple[str, list[str]]]:
    codes = random.sample(range(len(UNITS) * 1000 * len(SUFFIX)), n)
    rows = []
    for code in codes:
        unit = list(UNITS)[code % 6]
        number = f"{code // 6 % 1000:03d}"
        suffix = list(SUFFIX)[code // 6000]
        spoken = [UNITS[unit], *(DIGITS[int(c)] for c in number), SUFFIX[suffix]]
        rows.append((f"{unit}-{number}-{suffix}", spoken))
    return rows


def make_encoder() -> Callable:
    chars: dict[str, int] = {}
    words: dict[str, int] = {SOS: 0}

    def encode(rows):
        src = [[chars.setdefault(c, len(chars)) for c in tag] for tag, _ in rows]
        tgt = [[words.setdefault(w, len(words)) for w in [SOS, *spoken]] for _, spoken in rows]
        return torch.tensor(src), torch.tensor(tgt), len(chars), len(words)

    return encode


class TagReader(nn.Module):
    def __init__(self, n_chars: int, n_words: int, hidden: int) -> None:
        super().__init__()
        self.src_emb = nn.Embedding(n_chars, hidden)
        self.tgt_emb = nn.Embedding(n_words, hidden)
        self.encoder = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.decoder = nn.GRU(hidden, hidden, batch_first=True)
        self.query = nn.Linear(hidden, 2 * hidden)
        self.out = nn.Linear(3 * hidden, n_words)

    def encode(self, src):
        memory, h = self.encoder(self.src_emb(src))
        return memory, torch.tanh(self.bridge(torch.cat([h[0], h[1]], dim=-1))).unsqueeze(0)

    def decode(self, tokens, memory, h):
        dec, h = self.decoder(self.tgt_emb(tokens), h)
        weights = torch.softmax(self.query(dec) @ memory.transpose(1, 2) / memory.size(-1) ** 0.5, dim=-1)
        return self.out(torch.cat([dec, weights @ memory], dim=-1)), h

    def forward(self, src, tokens):
        memory, h = self.encode(src)
        return self.decode(tokens, memory, h)[0]


@torch.no_grad()
def read_tags(model: TagReader, src: torch.Tensor, steps: int) -> torch.Tensor:
    model.eval()
    memory, h = model.encode(src)
    token = torch.zeros(len(src), 1, dtype=torch.long)
    spoken = []
    for _ in range(steps):
        logits, h = model.decode(token, memory, h)
        token = logits.argmax(-1)
        spoken.append(token)
    return torch.cat(spoken, dim=1)


cfg = JobConfig()
rows = make_tags(cfg.n_train + cfg.n_test)
encode = make_encoder()
src, tgt, n_chars, n_words = encode(rows[:cfg.n_train])
encode = make_encoder()
test_src, test_tgt, _, _ = encode(rows[cfg.n_train:])

model = TagReader(n_chars, n_words, cfg.hidden)
optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)

for epoch in range(cfg.epochs):
    model.train()
    total = 0.0
    for idx in torch.randperm(cfg.n_train).split(cfg.batch_size):

        def closure():
            optimizer.zero_grad()
            logits = model(src[idx], tgt[idx, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), tgt[idx, 1:].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            return loss

        total += optimizer.step(closure).item() * len(idx)
    print(f"epoch {epoch + 1:2d} loss {total / cfg.n_train:.4f}")

spoken = read_tags(model, test_src, test_tgt.size(1) - 1)
exact = (spoken == test_tgt[:, 1:]).all(dim=1).float().mean().item()
print(f"test tags read correctly {exact:.4f}")
