"""Next value of a noisy seasonal series with an LSTM."""

import math

import torch
from torch import nn

LEARNING_RATE = 1e-9
WINDOW = 24


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 24, batch_first=True)
        self.readout = nn.Linear(24, 1)

    def forward(self, history):
        output, _ = self.lstm(history)
        return self.readout(output[:, -1])


def series(length):
    t = torch.arange(length, dtype=torch.float32)
    values = torch.sin(2 * math.pi * t / 12) + 0.5 * torch.sin(2 * math.pi * t / 31) + 0.1 * torch.randn(length)
    return (values - values.mean()) / values.std()


torch.manual_seed(6)
values = series(1500)
windows = values.unfold(0, WINDOW + 1, 1)
model = Forecaster()
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
loss_fn = nn.SmoothL1Loss()
for epoch in range(5):
    total = 0.0
    for chosen in torch.randperm(1280).split(64):
        batch = windows[chosen]
        loss = loss_fn(model(batch[:, :-1, None]), batch[:, -1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: {total / 20:.4f}")
