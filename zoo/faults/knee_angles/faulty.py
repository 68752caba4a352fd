"""Exercise recognition from a knee sensor.

Each recording: 40 samples of (angle, angular velocity, vertical acceleration).
"""
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

EXERCISES = ["squat", "lunge", "step-up", "jump"]
CYCLES = torch.tensor([1.0, 1.7, 2.6, 4.0])


def record(count):
    label = torch.randint(0, len(EXERCISES), (count,))
    t = torch.linspace(0, 1, 40)
    cycles = CYCLES[label] * (1 + 0.06 * torch.randn(count))
    phase = 2 * math.pi * torch.rand(count, 1)
    swing = 2 * math.pi * cycles[:, None] * t + phase
    amp = 1 + 0.2 * torch.randn(count, 1)
    angle = amp * torch.sin(swing)
    velocity = amp * torch.cos(swing) * (1 + 0.2 * torch.randn(count, 1))
    accel = 0.6 * amp * torch.sin(2 * swing + 0.5)
    series = torch.stack([angle, velocity, accel], dim=-1)
    return series + 0.15 * torch.randn_like(series), label


class ExerciseNet(nn.Module):
    def __init__(self, n_features: int = 3, hidden: int = 48, n_classes: int = 4):
        super().__init__()
        self.lstm = nn.LSTM(n_features, hidden, num_layers=1)
        self.classify = nn.Sequential(nn.Linear(hidden, 32), nn.ReLU(), nn.Linear(32, n_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # x: batch x time x features
        out, (h, c) = self.lstm(x)
        return self.classify(out[:, -1, :])


def run_epoch(model, loader, criterion, optimizer=None):
    training = optimizer is not None
    model.train(training)
    loss_sum, right, seen = 0.0, 0, 0
    with torch.set_grad_enabled(training):
        for x, y in loader:
            logits = model(x)
            loss = criterion(logits, y)
            if training:
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
            loss_sum += loss.item() * len(y)
            right += (logits.argmax(1) == y).sum().item()
            seen += len(y)
    return loss_sum / seen, right / seen


if __name__ == "__main__":
    torch.manual_seed(5)
    recordings = TensorDataset(*record(1600))
    train_set, val_set = random_split(recordings, [1280, 320])
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=64)

    model = ExerciseNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(1, 13):
        train_loss, train_acc = run_epoch(model, train_loader, criterion, optimizer)
        val_loss, val_acc = run_epoch(model, val_loader, criterion)
        print(f"{epoch:02d} | train {train_loss:.3f} {train_acc:.3f} | val {val_loss:.3f} acc {val_acc:.3f}")
