"""Which key was pressed? 8x8 pressure maps (the digits of scikit-learn), with some worn-out cells."""
import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=25)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--drop", type=float, default=0.4)
    return p.parse_args()


class Block(nn.Module):
    def __init__(self, n_in, n_out, drop):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out)
        self.norm = nn.BatchNorm1d(n_out)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        return self.drop(self.act(self.norm(self.fc(x))))


def validate(net, loader):
    net.eval()
    right, seen = 0, 0
    with torch.no_grad():
        for maps, keys in loader:
            right += (net(maps).argmax(1) == keys).sum().item()
            seen += len(keys)
    net.train()
    return right / seen


def main():
    args = parse()
    torch.manual_seed(11)
    digits = load_digits()
    maps = torch.tensor(digits.data, dtype=torch.float32) / 16
    maps = maps * (torch.rand(maps.shape) > 0.25)
    data = TensorDataset((maps - 0.25) / 0.35, torch.tensor(digits.target))
    train_set, val_set = random_split(data, [1297, 500])
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True, drop_last=True)
    val_loader = DataLoader(val_set, batch_size=args.batch_size)

    net = nn.Sequential(Block(64, 48, args.drop), Block(48, 32, args.drop), nn.Linear(32, 10))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=args.lr)

    net.train()
    for epoch in range(args.epochs):
        epoch_loss = 0.0
        for maps, keys in train_loader:
            optimizer.zero_grad()
            loss = criterion(net(maps), keys)
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item()
        acc = validate(net, val_loader)
        print("Epoch {}/{}: loss {:.3f}, val acc {:.3f}".format(epoch + 1, args.epochs, epoch_loss / len(train_loader), acc))


if __name__ == "__main__":
    main()
