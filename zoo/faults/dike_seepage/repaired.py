"""Seepage through a dike from river level and rain: GRU over the last 24 readings, seepage of the next reading."""
import numpy as np
import torch
import torch.nn as nn
from sklearn.metrics import mean_absolute_error, r2_score
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(44)
np.random.seed(44)

WINDOW = 24


def readings(n=4000):
    level = np.zeros(n)
    for i in range(1, n):
        level[i] = 0.97 * level[i - 1] + 0.25 * np.random.randn()
    rain = np.where(np.random.rand(n) < 0.1, np.random.gamma(2.0, 1.5, n), 0.0)
    soaked = np.zeros(n)
    for i in range(1, n):
        soaked[i] = 0.9 * soaked[i - 1] + 0.1 * rain[i]
    seepage = 3.0 + 0.9 * np.roll(level, 3) + 0.9 * np.maximum(np.roll(level, 3), 0) * soaked + 1.5 * soaked
    seepage = seepage + 0.9 * np.random.randn(n)
    return np.stack([level, rain], axis=1)[5:], seepage[5:]


def windows(inputs, seepage):
    x = np.stack([inputs[i:i + WINDOW] for i in range(len(inputs) - WINDOW)])
    return torch.tensor(x, dtype=torch.float32), torch.tensor(seepage[WINDOW:], dtype=torch.float32)


class SeepageGRU(nn.Module):
    def __init__(self, n_in=2, hidden=32):
        super().__init__()
        self.gru = nn.GRU(n_in, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        _, h = self.gru(x)
        return self.head(h[-1]).squeeze(-1)


def train_epoch(model, loader, optimizer, criterion):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(x)
    return total / len(loader.dataset)


@torch.no_grad()
def predict(model, x):
    model.eval()
    return torch.cat([model(part) for part in x.split(256)]).numpy()


def report(forecast, actual, mean, std):
    forecast, actual = forecast * std + mean, actual * std + mean
    return mean_absolute_error(forecast, actual), r2_score(actual, forecast)


def main(epochs=12):
    inputs, seepage = readings()
    cut, gap = 2800, WINDOW
    in_mean, in_std = inputs[:cut].mean(0), inputs[:cut].std(0)
    mean, std = seepage[:cut].mean(), seepage[:cut].std()
    inputs, seepage = (inputs - in_mean) / in_std, (seepage - mean) / std
    x_train, y_train = windows(inputs[:cut], seepage[:cut])
    x_test, y_test = windows(inputs[cut + gap:], seepage[cut + gap:])

    model = SeepageGRU()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    criterion = nn.MSELoss()
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)
    for epoch in range(1, epochs + 1):
        loss = train_epoch(model, loader, optimizer, criterion)
        scheduler.step()
        if epoch % 3 == 0:
            print(f"epoch {epoch:2d}  train mse {loss:.4f}")

    mae, r2 = report(predict(model, x_test), y_test.numpy(), mean, std)
    print(f"test MAE {mae:.3f} litres per minute")
    print(f"test R2 {r2:.4f}")


if __name__ == "__main__":
    main()
