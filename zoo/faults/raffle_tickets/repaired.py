"""Read the number printed on raffle tickets, digit by digit (8 x 8 scans)."""
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

config = dict(
    seed=int(os.environ.get("SEED", "0")),
    batch_size=32,
    epochs=12,
    lr=2e-3,
    step_size=4,
    gamma=0.3,
)


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def get_loaders(cfg):
    x, y = load_digits(return_X_y=True)
    x = (x / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    x = x + np.random.normal(0, 0.15, x.shape).astype(np.float32)
    xtr, xte, ytr, yte = train_test_split(x, y, test_size=0.25, stratify=y, random_state=cfg["seed"])
    as_set = lambda a, b: TensorDataset(torch.from_numpy(a), torch.from_numpy(b).long())
    return (DataLoader(as_set(xtr, ytr), batch_size=cfg["batch_size"], shuffle=True),
            DataLoader(as_set(xte, yte), batch_size=128))


class TicketNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4, 64)
        self.fc2 = nn.Linear(64, 10)
        self.dropout = nn.Dropout(0.25)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))
        return self.fc2(x)


def train_one_epoch(model, loader, optimizer, scheduler, epoch):
    model.train()
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    return float(np.mean(losses))


@torch.no_grad()
def test(model, loader):
    model.eval()
    loss, correct = 0.0, 0
    for x, y in loader:
        out = model(x)
        loss += F.cross_entropy(out, y, reduction="sum").item()
        correct += (out.argmax(1) == y).sum().item()
    n = len(loader.dataset)
    return loss / n, correct / n


def run(cfg):
    set_seed(cfg["seed"])
    train_loader, test_loader = get_loaders(cfg)
    model = TicketNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    # drop the learning rate every few epochs
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=cfg["step_size"], gamma=cfg["gamma"])
    best = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "best.pt")
        for epoch in range(cfg["epochs"]):
            train_loss = train_one_epoch(model, train_loader, optimizer, scheduler, epoch)
            test_loss, acc = test(model, test_loader)
            print(f"Epoch {epoch + 1}/{cfg['epochs']} - loss: {train_loss:.4f} - val_loss: {test_loss:.4f} - val_acc: {acc:.4f}")
            if acc > best:
                best = acc
                torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path))
    _, acc = test(model, test_loader)
    print(f"best model, accuracy {acc:.4f}")


if __name__ == "__main__":
    run(config)
