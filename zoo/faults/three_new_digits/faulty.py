"""A reader of the digits 0 to 6 learns to tell 7, 8 and 9 from sixty examples of each."""
import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--tune-epochs", type=int, default=24)
    p.add_argument("--batch-size", type=int, default=12)
    p.add_argument("--lr", type=float, default=0.01)
    p.add_argument("--momentum", type=float, default=0.9)
    p.add_argument("--weight-decay", type=float, default=5e-4)
    return p.parse_args()


class Reader(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * 16, 48), nn.ReLU(),
        )
        self.classify = nn.Linear(48, n_classes)

    def forward(self, x):
        return self.classify(self.features(x))


def batches(x, y, size):
    for rows in torch.randperm(len(x)).split(size):
        yield x[rows], y[rows]


def pretrain(model, x, y, epochs=4):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for xb, yb in batches(x, y, 40):
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            optimizer.step()


def tune(model, x, y, args, after_epoch):
    # the features move a tenth as fast as the new classifier
    groups = [
        {"params": model.features.parameters(), "lr": args.lr / 10},
        {"params": model.classify.parameters()},
    ]
    optimizer = torch.optim.SGD(groups, args.lr, args.weight_decay, args.momentum)
    for epoch in range(1, args.tune_epochs + 1):
        for xb, yb in batches(x, y, args.batch_size):
            loss = F.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        after_epoch(epoch, loss.item())


def main():
    args = parse()
    torch.manual_seed(14)
    pixels, names = load_digits(return_X_y=True)
    x = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1
    y = torch.tensor(names)
    model = Reader(7)
    known = y < 7
    pretrain(model, x[known], y[known])

    model.classify = nn.Linear(48, 3)
    rows = torch.nonzero(~known).squeeze(1)
    rows = rows[torch.randperm(len(rows))]
    few = torch.cat([rows[y[rows] == d][:60] for d in (7, 8, 9)])
    rest = torch.cat([rows[y[rows] == d][60:] for d in (7, 8, 9)])

    def after_epoch(epoch, loss):
        if epoch % 4 == 0:
            with torch.no_grad():
                right = (model(x[rest]).argmax(1) == y[rest] - 7).float().mean().item()
            print(f"tune epoch {epoch:2d} loss {loss:.3f} held-out {right:.3f}")

    tune(model, x[few], y[few] - 7, args, after_epoch)


main()
