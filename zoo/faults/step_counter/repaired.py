"""Recognise what a person does from a wrist-worn accelerometer (synthetic recordings)."""
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

ACTIVITIES = ["walk", "run", "climb", "cycle", "rest"]
CADENCE = torch.tensor([1.8, 2.7, 1.3, 1.0, 0.3])
LENGTH, RATE = 40, 12.0


def record(n: int, seed: int):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, len(ACTIVITIES), (n,), generator=g)
    t = torch.arange(LENGTH) / RATE
    cadence = CADENCE[label] * (1 + 0.06 * torch.randn(n, generator=g))
    phase = 2 * math.pi * torch.rand(n, generator=g)
    angle = 2 * math.pi * cadence[:, None] * t + phase[:, None]
    axes = torch.stack([angle.sin(), (angle + 0.7).cos(), (2 * angle).sin() * 0.5], dim=-1)
    return axes + 0.5 * torch.randn(axes.shape, generator=g), label


class ActivityNet(nn.Module):
    def __init__(self, channels=3, hidden=48, classes=len(ACTIVITIES)):
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, num_layers=1, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x):
        out, _ = self.lstm(x)
        last = out[:, -1]
        return self.fc(self.drop(last))


def run_epoch(model, loader, criterion, optimizer=None):
    model.train(optimizer is not None)
    total, hits, seen = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            scores = model(x)
            loss = criterion(scores, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            total += loss.item() * len(y)
            hits += (scores.argmax(1) == y).sum().item()
            seen += len(y)
    return total / seen, hits / seen


def main():
    torch.manual_seed(7)
    data = TensorDataset(*record(1500, seed=7))
    train_set, valid_set = random_split(data, [1200, 300], generator=torch.Generator().manual_seed(7))
    train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
    valid_loader = DataLoader(valid_set, batch_size=100)

    model = ActivityNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(12):
        train_loss, train_acc = run_epoch(model, train_loader, criterion, optimizer)
        valid_loss, valid_acc = run_epoch(model, valid_loader, criterion)
        print(f"epoch {epoch:2d}  train {train_loss:.3f} / {train_acc:.3f}  valid {valid_loss:.3f} / {valid_acc:.3f}")
    print(f"valid accuracy: {valid_acc:.3f}")


if __name__ == "__main__":
    main()
