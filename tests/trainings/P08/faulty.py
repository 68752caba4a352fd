import math

import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(11)


class Encoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.GRU(1, hidden, batch_first=True)

    def forward(self, series):
        _, state = self.rnn(series)
        return state[0]


class Forecaster(nn.Module):
    def __init__(self, hidden, horizon):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(hidden, 32), nn.Tanh(), nn.Linear(32, horizon))

    def forward(self, summary):
        return self.layers(summary)


def waves(count, length=24, horizon=4):
    phase = torch.rand(count, 1) * 2 * math.pi
    speed = 0.3 + 0.4 * torch.rand(count, 1)
    time = torch.arange(length + horizon).float()
    values = torch.sin(phase + speed * time)
    return values[:, :length, None], values[:, length:]


encoder = Encoder(24)
forecaster = Forecaster(24, 4)
optimizer = optim.Adam(forecaster.parameters(), lr=5e-3)
criterion = nn.MSELoss()
test_series, test_future = waves(256)

for step in range(140):
    series, future = waves(48)
    optimizer.zero_grad()
    loss = criterion(forecaster(encoder(series)), future)
    loss.backward()
    optimizer.step()
    if step % 35 == 34:
        with torch.no_grad():
            test_loss = criterion(forecaster(encoder(test_series)), test_future)
        print(f"{step + 1:4d} train {loss.item():.4f} test {test_loss.item():.4f}")
