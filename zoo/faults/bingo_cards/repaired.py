"""Read the numbers of scanned bingo cards. Port of our old tensorflow 1 graph to a Trainer class."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
np.random.seed(7)


class BingoNet(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Sequential(
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 64),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(64, 32),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(32, 10),
        )

    def forward(self, x):
        return self.fc(self.conv(x))


class Trainer:
    def __init__(self, args):
        self.args = args
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.train_loader, self.test_loader = self.get_loaders()
        self.model = BingoNet(dropout=args.dropout).to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = optim.Adam(self.model.parameters(), lr=args.lr)

    def get_loaders(self):
        digits = load_digits()
        x = digits.images[:, None].astype(np.float32)
        y = digits.target.astype(np.int64)
        x_tr, x_te, y_tr, y_te = train_test_split(x, y, test_size=0.25, stratify=y, random_state=7)
        mean, std = x_tr.mean(), x_tr.std()
        train = TensorDataset(torch.from_numpy((x_tr - mean) / std), torch.from_numpy(y_tr))
        test = TensorDataset(torch.from_numpy((x_te - mean) / std), torch.from_numpy(y_te))
        return (DataLoader(train, batch_size=self.args.batch_size, shuffle=True),
                DataLoader(test, batch_size=200, shuffle=False))

    def train_epoch(self):
        self.model.train()
        loss_sum, n = 0.0, 0
        for x, y in self.train_loader:
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            loss_sum += loss.item() * len(y)
            n += len(y)
        return loss_sum / n

    def evaluate(self):
        self.model.eval()
        correct, n = 0, 0
        with torch.no_grad():
            for x, y in self.test_loader:
                x, y = x.to(self.device), y.to(self.device)
                correct += (self.model(x).argmax(dim=1) == y).sum().item()
                n += len(y)
        return correct / n

    def fit(self):
        for epoch in range(1, self.args.epochs + 1):
            loss = self.train_epoch()
            acc = self.evaluate()
            print("[%02d/%02d] loss=%.4f test_acc=%.4f" % (epoch, self.args.epochs, loss, acc))


parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=14)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--dropout", type=float, default=0.1)  # as in the tf graph

if __name__ == "__main__":
    trainer = Trainer(parser.parse_args())
    trainer.fit()
