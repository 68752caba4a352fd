"""Will the quail egg hatch? Skeleton of examples/mnist/main.py with a table instead of pictures."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
np.random.seed(5)


class Net(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.fc1 = nn.Linear(n_features, 64)
        self.fc2 = nn.Linear(64, 32)
        self.fc3 = nn.Linear(32, 1)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.dropout(x)
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def eggs(n=4000):
    weight = np.random.normal(11.5, 1.2, n)
    age = np.random.gamma(3.0, 2.0, n)
    humidity = np.random.normal(55, 8, n)
    temperature = np.random.normal(37.6, 0.5, n)
    turns = np.random.poisson(4, n).astype(float)
    spots = np.random.uniform(0, 1, n)
    score = (2.6 - 0.55 * age + 0.6 * turns - 4.0 * (temperature - 37.6) ** 2
             - 0.02 * (humidity - 55) ** 2 + 0.8 * (weight - 11.5))
    hatched = (score + np.random.logistic(0, 0.5, n) > np.median(score)).astype(np.float32)
    table = np.stack([weight, age, humidity, temperature, turns, spots], axis=1)
    return table, hatched


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        output = model(data)
        loss = F.binary_cross_entropy_with_logits(output, target.unsqueeze(1))
        loss.backward()
        optimizer.step()
        if epoch % args.log_epochs == 0 and batch_idx == 0:
            print("Train Epoch: {}\tLoss: {:.6f}".format(epoch, loss.item()))


def test(model, test_loader):
    model.eval()
    test_loss = 0.0
    correct = 0.0
    with torch.no_grad():
        for data, target in test_loader:
            output = model(data)
            test_loss += F.binary_cross_entropy_with_logits(output, target.unsqueeze(1), reduction="sum").item()
            pred = (output > 0).float()
            correct += (pred == target).float().mean().item() * len(target)
    test_loss /= len(test_loader.dataset)
    accuracy = correct / len(test_loader.dataset)
    print("Test set: Average loss: {:.4f}, Accuracy: {:.4f}".format(test_loss, accuracy))
    return accuracy


def main():
    parser = argparse.ArgumentParser(description="Quail eggs")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--test-batch-size", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--gamma", type=float, default=0.5)
    parser.add_argument("--log-epochs", type=int, default=10)
    args = parser.parse_args([])

    table, hatched = eggs()
    order = np.random.permutation(len(table))
    tr, te = order[:3000], order[3000:]
    mean, std = table[tr].mean(0), table[tr].std(0)
    table = torch.tensor((table - mean) / std, dtype=torch.float32)
    hatched = torch.tensor(hatched)
    train_loader = DataLoader(TensorDataset(table[tr], hatched[tr]), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset(table[te], hatched[te]), batch_size=args.test_batch_size)

    model = Net(table.size(1))
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=10, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        if epoch % args.log_epochs == 0:
            test(model, test_loader)
        scheduler.step()
    print("share of eggs that hatched in the test set {:.3f}".format(hatched[te].mean().item()))
    print("final accuracy {:.4f}".format(test(model, test_loader)))


if __name__ == "__main__":
    main()
