"""Progression of diabetes, standardized, two hidden layers, Adam."""

import argparse

import torch
from sklearn.datasets import load_diabetes
from torch import nn


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def standardized(values):
    values = torch.tensor(values, dtype=torch.float32)
    return (values - values.mean(0)) / values.std(0)


def batches(count, size):
    while True:
        yield from torch.randperm(count)[: count // size * size].split(size)


def main():
    args = parse()
    torch.manual_seed(args.seed)
    features, progression = load_diabetes(return_X_y=True)
    x, y = standardized(features), standardized(progression).unsqueeze(1)
    held = torch.randperm(len(x))[:90]
    kept = torch.ones(len(x), dtype=torch.bool)
    kept[held] = False
    x_train, y_train = x[kept], y[kept]
    model = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    losses = []
    for step, chosen in zip(range(300), batches(len(x_train), 32)):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x_train[chosen]), y_train[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 49:
            with torch.no_grad():
                print(step + 1, loss.item(), nn.functional.mse_loss(model(x[held]), y[held]).item())
    print(f"first {losses[0]:.6g} final {sum(losses[-30:]) / 30:.6g} steps {len(losses)}")


if __name__ == "__main__":
    main()
