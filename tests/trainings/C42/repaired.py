"""The next value of a wave, from the values before it."""

import torch
from torch import nn


class Forecaster(nn.Module):
    def __init__(self, features=1):
        super().__init__()
        self.memory = nn.GRU(features, 16, batch_first=True)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        states, _ = self.memory(x)
        return self.out(states[:, -1])


torch.manual_seed(1)
time = torch.arange(700.0)
wave = torch.sin(time / 4) + 0.1 * torch.randn(700)
windows = wave.unfold(0, 13, 1).unsqueeze(-1)
x, y = windows[:, :12], windows[:, 12]
model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(8):
    for rows in torch.randperm(500).split(25):
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        loss = nn.functional.mse_loss(model(x[520:]), y[520:])
    print(f"epoch {epoch}: test loss {loss.item():.3f}")
