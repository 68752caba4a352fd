"""Which stroke did the canoeist make? A sensor on the paddle's shaft, 36 samples of 4 channels."""
import argparse
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

STROKES = ["forward", "sweep", "draw", "brace", "rudder"]


class PaddleDataset(Dataset):
    def __init__(self, count, rng, length=36):
        t = np.linspace(0, 1, length)
        self.x, self.y = [], []
        for _ in range(count):
            kind = int(rng.integers(len(STROKES)))
            start = rng.uniform(0.05, 0.25)
            shape = np.exp(-((t - start - 0.2) / 0.12) ** 2) * rng.uniform(0.7, 1.3)
            late = np.exp(-((t - start - 0.4) / 0.12) ** 2) * rng.uniform(0.7, 1.3)
            pull = {0: (shape, late, 0 * t, 0 * t),
                    1: (late, shape, 0 * t, 0 * t),
                    2: (shape, -late, 0 * t, 0 * t),
                    3: (0 * t, shape, late, 0 * t),
                    4: (0 * t, late, shape, 0 * t)}[kind]
            signal = np.stack(pull, axis=1)
            signal[:, 3] = rng.uniform(-0.5, 0.5)
            self.x.append(signal + 0.15 * rng.normal(size=signal.shape))
            self.y.append(kind)
        self.x = np.asarray(self.x, dtype=np.float32)
        self.y = np.asarray(self.y)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return torch.from_numpy(self.x[i]), int(self.y[i])


class StrokeNet(nn.Module):
    """GRU over the samples; the last output goes to the classifier."""

    def __init__(self, channels, hidden, layers, classes):
        super().__init__()
        self.embed = nn.Linear(channels, hidden)
        self.rnn = nn.GRU(hidden, hidden, num_layers=layers, batch_first=True)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes))

    def forward(self, x):
        h = F.relu(self.embed(x))
        out, _ = self.rnn(h)
        return self.head(out[:, -1])


def train_one_epoch(model, loader, optimizer, args):
    model.train()
    total, seen = 0.0, 0
    for x, y in loader:
        loss = F.cross_entropy(model(x), y, label_smoothing=args.smoothing)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        total += loss.item() * len(y)
        seen += len(y)
    return total / seen


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    table = torch.zeros(len(STROKES), len(STROKES), dtype=torch.long)
    for x, y in loader:
        for truth, guess in zip(y, model(x).argmax(1)):
            table[truth, guess] += 1
    return (table.diag().sum() / table.sum()).item(), table


def get_args():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=9)
    p.add_argument("--batch-size", type=int, default=50)
    p.add_argument("--lr", type=float, default=4e-3)
    p.add_argument("--hidden", type=int, default=32)
    p.add_argument("--layers", type=int, default=1)
    p.add_argument("--smoothing", type=float, default=0.05)
    p.add_argument("--clip", type=float, default=1.0)
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")))
    return p.parse_args()


def main(args):
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train, test = PaddleDataset(1500, rng), PaddleDataset(500, rng)
    train_loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test, batch_size=100)
    model = StrokeNet(4, args.hidden, args.layers, len(STROKES))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    for epoch in range(args.epochs):
        loss = train_one_epoch(model, train_loader, optimizer, args)
        scheduler.step()
        if epoch % 3 == 2:
            accuracy, _ = evaluate(model, test_loader)
            print(f"[{epoch + 1:2d}/{args.epochs}] loss={loss:.4f} acc={accuracy:.4f}")
    accuracy, table = evaluate(model, test_loader)
    for name, row in zip(STROKES, table.tolist()):
        print(f"{name:>8s} {row}")
    print(f"test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main(get_args())
