"""Gearbox test bench: which bearing seat is damaged, from windows of the three acceleration sensors."""
import argparse
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SEATS = ["input", "middle", "output"]
GRADES = ["light", "heavy"]


def get_args():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=int(os.environ.get("SEED", 0)))
    ap.add_argument("--epochs", type=int, default=6)
    ap.add_argument("--bs", type=int, default=48)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--window", type=int, default=240)
    ap.add_argument("--n", type=int, default=1300)
    return ap.parse_args()


def bench_windows(args):
    """Rows as the logger writes them: (window, sample, sensor)."""
    rng = np.random.default_rng(args.seed)
    t = np.arange(args.window)
    x = np.zeros((args.n, args.window, len(SEATS)), np.float32)
    seat = rng.integers(0, len(SEATS), args.n)
    grade = rng.integers(0, len(GRADES), args.n)
    for i in range(args.n):
        mesh = np.sin(2 * np.pi * t / rng.uniform(15, 17) + rng.uniform(0, 6))
        for s in range(len(SEATS)):
            x[i, :, s] = 0.7 * mesh * rng.uniform(0.7, 1.3) + rng.normal(0, 0.7, args.window)
        period = 12 if grade[i] == 0 else 7
        start = rng.integers(0, period)
        knock = np.zeros(args.window)
        knock[start::period] = 1
        ring = np.exp(-np.arange(6) / 2.0) * np.cos(np.arange(6) * 2.0)
        knock = np.convolve(knock, ring)[: args.window]
        # the neighbours hear it through the housing
        for s in range(len(SEATS)):
            x[i, :, s] += 2.0 * knock * (1.0 if s == seat[i] else 0.45)
    return torch.from_numpy(x), torch.from_numpy(seat * len(GRADES) + grade)


class BenchNet(nn.Module):
    def __init__(self, n_sensors, n_classes):
        super().__init__()
        self.n_sensors = n_sensors
        self.conv1 = nn.Conv1d(n_sensors, 24, 7, padding=3)
        self.bn1 = nn.BatchNorm1d(24)
        self.conv2 = nn.Conv1d(24, 32, 5, padding=2)
        self.bn2 = nn.BatchNorm1d(32)
        self.conv3 = nn.Conv1d(32, 32, 5, padding=2)
        self.fc = nn.Linear(32, n_classes)

    def forward(self, x):
        # conv1d wants (batch, channels, length)
        x = x.view(x.size(0), self.n_sensors, -1)
        x = F.max_pool1d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool1d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.relu(self.conv3(x))
        return self.fc(x.mean(-1))


def run(model, loader, optimizer=None):
    model.train(optimizer is not None)
    loss_sum, hits, n = 0.0, 0, 0
    for x, y in loader:
        with torch.set_grad_enabled(optimizer is not None):
            out = model(x)
            loss = F.cross_entropy(out, y)
        if optimizer is not None:
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        loss_sum += loss.item() * len(y)
        hits += (out.argmax(1) == y).sum().item()
        n += len(y)
    return loss_sum / n, hits / n


def main():
    args = get_args()
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    x, y = bench_windows(args)
    n_train = int(0.7 * args.n)
    mean, std = x[:n_train].mean((0, 1)), x[:n_train].std((0, 1))
    x = (x - mean) / std
    train = DataLoader(TensorDataset(x[:n_train], y[:n_train]), batch_size=args.bs, shuffle=True)
    test = DataLoader(TensorDataset(x[n_train:], y[n_train:]), batch_size=256)
    model = BenchNet(len(SEATS), len(SEATS) * len(GRADES))
    opt = torch.optim.AdamW(model.parameters(), lr=args.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, args.epochs)
    for epoch in range(args.epochs):
        tl, ta = run(model, train, opt)
        vl, va = run(model, test)
        sched.step()
        print(f"epoch {epoch}: train {tl:.3f}/{ta:.3f} test {vl:.3f}/{va:.3f}")
    print("bench accuracy", round(run(model, test)[1], 4))


if __name__ == "__main__":
    main()
