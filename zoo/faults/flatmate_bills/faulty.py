#!/usr/bin/env python
"""Will my flatmate pay the bill late? (project for the course 'machine learning in daily life')"""
import argparse
import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader, random_split


class BillDataset(Dataset):
    """one row = one bill: amount, days to payday, number of people, season, rent or not, ..."""

    def __init__(self, n_rows, seed):
        rng = np.random.RandomState(seed)
        amount = rng.gamma(2.0, 40.0, n_rows)
        payday = rng.randint(0, 31, n_rows)
        people = rng.randint(2, 6, n_rows)
        season = rng.randint(0, 4, n_rows)
        is_rent = rng.rand(n_rows) < 0.25
        parties = rng.poisson(2.0, n_rows)
        score = (0.02 * (amount - 80) + 0.12 * (payday - 15) + 0.5 * (parties - 2)
                 + 1.2 * is_rent * (payday > 10) - 0.4 * (people - 3) + 0.3 * (season == 3))
        late = (score + rng.normal(0, 0.5, n_rows)) > 0
        X = np.stack([amount, payday, people, season, is_rent, parties], axis=1).astype(np.float32)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        self.X = torch.from_numpy(X)
        self.y = torch.from_numpy(late.astype(np.float32)).unsqueeze(1)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], self.y[i]


def build_model(n_in, hidden):
    return nn.Sequential(
        nn.Linear(n_in, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 1),
    )


def train_one_epoch(model, loader, criterion, optimizer):
    model.train()
    running_loss = 0.0
    for inputs, labels in loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * inputs.size(0)
    return running_loss / len(loader.dataset)


def test(model, loader, criterion):
    model.eval()
    correct = 0
    total = 0
    test_loss = 0.0
    with torch.no_grad():
        for inputs, labels in loader:
            outputs = model(inputs)
            test_loss += criterion(outputs, labels).item() * inputs.size(0)
            # the predicted class
            _, predicted = torch.max(outputs, 1)
            total += labels.size(0)
            correct += (predicted == labels.squeeze(1).long()).sum().item()
    return test_loss / total, 100.0 * correct / total


def main(args):
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

    dataset = BillDataset(args.rows, seed)
    n_test = args.rows // 5
    train_set, test_set = random_split(dataset, [args.rows - n_test, n_test])
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=200)

    model = build_model(6, args.hidden)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.97)

    for epoch in range(args.epochs):
        tr = train_one_epoch(model, train_loader, criterion, optimizer)
        te, acc = test(model, test_loader, criterion)
        scheduler.step()
        if (epoch + 1) % 5 == 0:
            print(f"[{epoch + 1:02d}/{args.epochs}] train loss: {tr:.4f} test loss: {te:.4f} acc: {acc:.1f}%")

    _, acc = test(model, test_loader, criterion)
    print(f"Accuracy of the network on the test bills: {acc:.2f} %")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2500)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=35)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    main(parser.parse_args())
