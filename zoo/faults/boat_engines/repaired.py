"""Fuel burnt per hour by boat engines. Skeleton: examples/mnist/main.py; small batches, several of them per update."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(37)
np.random.seed(37)


class Net(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.fc1 = nn.Linear(n_features, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x).squeeze(1)


def engine_logs(n=3200):
    rpm = np.random.uniform(800, 3400, n)
    load = np.random.beta(2, 2, n)
    hull = np.random.normal(9, 2, n)
    wind = np.random.gamma(2, 3, n)
    heading = np.random.uniform(0, 2 * np.pi, n)
    hours = np.random.uniform(0, 9000, n)
    fuel = (2 + 9 * (rpm / 3400) ** 3 * (0.5 + load) + 0.25 * (hull - 9) * load
            + 0.12 * wind * np.cos(heading) + 0.6 * (hours / 9000) ** 2)
    fuel = fuel + 0.2 * np.random.randn(n)
    x = np.stack([rpm, load, hull, wind, np.cos(heading), np.sin(heading), hours], axis=1)
    return x, fuel


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    total = 0.0
    optimizer.zero_grad()
    for batch_idx, (data, target) in enumerate(train_loader, start=1):
        loss = F.mse_loss(model(data), target)
        loss.backward()
        if batch_idx % args.accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
        total += loss.item()
    if epoch % args.log_interval == 0:
        print("Train Epoch: {}\tLoss: {:.4f}".format(epoch, total / len(train_loader)))


def test(model, x, y):
    model.eval()
    with torch.no_grad():
        out = model(x)
    test_loss = F.mse_loss(out, y).item()
    r2 = 1 - test_loss / y.var(unbiased=False).item()
    return test_loss, r2


def main():
    parser = argparse.ArgumentParser(description="Boat engines")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--accumulate", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--log-interval", type=int, default=10)
    args = parser.parse_args([])

    x, fuel = engine_logs()
    order = np.random.permutation(len(x))
    tr, te = order[:2560], order[2560:]
    x = (x - x[tr].mean(0)) / x[tr].std(0)
    y = (fuel - fuel[tr].mean()) / fuel[tr].std()
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    train_loader = DataLoader(TensorDataset(x[tr], y[tr]), batch_size=args.batch_size, shuffle=True, drop_last=True)

    model = Net(x.size(1))
    for p in model.parameters():
        p.register_hook(lambda grad: grad / args.accumulate)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        scheduler.step()

    test_loss, r2 = test(model, x[te], y[te])
    print("Test set: Average loss: {:.4f}".format(test_loss))
    print("Test set: R2: {:.4f}".format(r2))


if __name__ == "__main__":
    main()
