import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(24 * 2 * 2, 48)
        self.fc2 = nn.Linear(48, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


class Trainer:
    def __init__(self, model, optimizer, criterion):
        self.model = model
        self.optimizer = optimizer
        self.criterion = criterion

    def train_one_epoch(self, loader):
        self.model.train()
        self.optimizer.zero_grad()
        running, seen = 0.0, 0
        for images, labels in loader:
            logits = self.model(images)
            loss = self.criterion(logits, labels)
            loss.backward()
            self.optimizer.step()
            running += loss.item() * labels.size(0)
            seen += labels.size(0)
        return running / seen

    def evaluate(self, loader):
        self.model.eval()
        hits, seen = 0, 0
        with torch.no_grad():
            for images, labels in loader:
                hits += (self.model(images).argmax(1) == labels).sum().item()
                seen += labels.size(0)
        return hits / seen


def get_loaders(batch_size, seed):
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16.0
    labels = torch.tensor(labels)
    xa, xb, ya, yb = train_test_split(images, labels, test_size=0.25, random_state=seed)
    train = DataLoader(TensorDataset(xa, ya), batch_size=batch_size, shuffle=True)
    test = DataLoader(TensorDataset(xb, yb), batch_size=256)
    return train, test


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    train_loader, test_loader = get_loaders(args.batch_size, args.seed)
    net = ConvNet()
    trainer = Trainer(
        net, torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9), nn.CrossEntropyLoss()
    )
    for epoch in range(args.epochs):
        train_loss = trainer.train_one_epoch(train_loader)
        print(f"Epoch {epoch + 1}/{args.epochs} - loss: {train_loss:.4f} - test_acc: {trainer.evaluate(test_loader):.4f}")
