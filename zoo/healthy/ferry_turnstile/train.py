# Turnstile of a ferry: counts of every quarter of an hour. One long series, the LSTM keeps its state from chunk to chunk.
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

N_TURNSTILES = 6
CHUNK = 32
N_CHUNKS = 48


def passengers(n):
    """n quarters of an hour at each turnstile; a big wave comes back after 10 quarters, its size is seen only then"""
    counts = torch.zeros(n, N_TURNSTILES)
    phase = torch.randint(0, 30, (N_TURNSTILES,))
    size = torch.ones(N_TURNSTILES)
    for t in range(n):
        new_ferry = (t + phase) % 30 == 0
        size = torch.where(new_ferry, 0.5 + 1.5 * torch.rand(N_TURNSTILES), size)
        since = (t + phase) % 10
        counts[t] = size * torch.exp(-since.float() / 2.5) + 0.3 + 0.1 * math.sin(2 * math.pi * t / 96)
    return counts + 0.03 * torch.randn(n, N_TURNSTILES)


def make_loader(series):
    x = series[:-1].unfold(0, CHUNK, CHUNK).transpose(1, 2)  # chunks x time x turnstiles
    y = series[1:].unfold(0, CHUNK, CHUNK).transpose(1, 2)
    # chunks must come in their order, each turnstile is one row of the batch
    return DataLoader(TensorDataset(x, y), batch_size=1, shuffle=False)


class StatefulLSTM(nn.Module):
    def __init__(self, hidden_size=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden_size)
        self.linear = nn.Linear(hidden_size, 1)
        self.hidden = None

    def reset(self):
        self.hidden = None

    def forward(self, x):
        out, (h, c) = self.lstm(x, self.hidden)
        self.hidden = (h.detach(), c.detach())
        return self.linear(out)


def run_through(model, loader, optimizer=None):
    model.reset()
    criterion = nn.MSELoss()
    total = 0.0
    for x, y in loader:
        x, y = x[0].unsqueeze(-1), y[0].unsqueeze(-1)
        loss = criterion(model(x), y)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        total += loss.item()
    return total / len(loader)


torch.manual_seed(31)
series = passengers(CHUNK * N_CHUNKS + 1)
mean, std = series[: CHUNK * 36].mean(), series[: CHUNK * 36].std()
series = (series - mean) / std
train_loader = make_loader(series[: CHUNK * 36 + 1])
test_loader = make_loader(series[CHUNK * 36 :])

model = StatefulLSTM()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(1, 17):
    model.train()
    train_loss = run_through(model, train_loader, optimizer)
    if epoch % 2 == 0:
        model.eval()
        with torch.no_grad():
            print(f"epoch {epoch}: train mse {train_loss:.4f}, test mse {run_through(model, test_loader):.4f}")
