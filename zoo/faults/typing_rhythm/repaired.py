"""Recognise a typist from the rhythm of one short text: pauses and holds of each key, texts of any length."""
import os
import random
from typing import List, Tuple

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))
N_TYPISTS = 5


class Recordings(Dataset):
    def __init__(self, n: int, rng: np.random.Generator):
        # every typist has a way of closing a line: a pattern of pauses over the last keys
        closing = np.random.default_rng(SEED + 1000).normal(0, 1.2, (N_TYPISTS, 6))
        self.items: List[Tuple[torch.Tensor, int]] = []
        for _ in range(n):
            who = int(rng.integers(N_TYPISTS))
            length = int(min(90, 8 + rng.exponential(14)))
            pause = rng.normal(0, 0.8, length)
            pause[-6:] += closing[who]
            hold = 0.5 * pause + rng.normal(0, 0.5, length)
            seq = torch.tensor(np.stack([pause, hold], axis=1), dtype=torch.float32)
            self.items.append((seq, who))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Tuple[torch.Tensor, int]:
        return self.items[i]


def collate(batch):
    seqs = [b[0] for b in batch]
    lengths = torch.tensor([len(s) for s in seqs])
    return pad_sequence(seqs, batch_first=True), lengths, torch.tensor([b[1] for b in batch])


class RhythmNet(nn.Module):
    def __init__(self, hidden: int = 32):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, N_TYPISTS)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        out, _ = self.lstm(x)
        last = out[torch.arange(len(x)), lengths - 1]
        return self.head(self.norm(last))


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    right = total = 0
    for x, lengths, who in loader:
        right += (model(x, lengths).argmax(dim=-1) == who).sum().item()
        total += len(who)
    return right / total


def train(model: nn.Module, train_loader: DataLoader, val_loader: DataLoader, epochs: int = 8) -> None:
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for x, lengths, who in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x, lengths), who)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}/{epochs} loss={total / len(train_loader):.4f} val_acc={evaluate(model, val_loader):.4f}")


def main() -> None:
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    train_loader = DataLoader(Recordings(1500, rng), batch_size=32, shuffle=True, collate_fn=collate)
    test_loader = DataLoader(Recordings(400, rng), batch_size=32, collate_fn=collate)
    model = RhythmNet()
    train(model, train_loader, test_loader)
    print(f"identification rate {evaluate(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
