import numpy as np
import torch
import torch.nn as nn


def simulate(rng, days):
    """Hourly load of a small grid, with the temperature that drives part of it."""
    hours = np.arange(days * 24)
    temp = 12 + 9 * np.sin(2 * np.pi * hours / (24 * 90)) + 4 * np.sin(2 * np.pi * (hours - 9) / 24)
    slow = np.zeros(len(hours))
    for i in range(1, len(hours)):
        slow[i] = 0.97 * slow[i - 1] + 0.35 * rng.standard_normal()
    temp = temp + slow
    daily = 30 * np.sin(2 * np.pi * (hours - 7) / 24) + 12 * np.sin(4 * np.pi * hours / 24)
    weekend = -18.0 * ((hours // 24) % 7 >= 5)
    load = 180 + daily + weekend + 2.4 * np.maximum(15 - temp, 0) + 3 * rng.standard_normal(len(hours))
    return np.stack([load, temp], axis=1).astype(np.float32)


class Forecaster(nn.Module):
    def __init__(self, window, horizon):
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * window, 128), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.2),
        )
        self.out = nn.Linear(128, horizon)

    def forward(self, x):
        return self.out(self.body(x))


class Experiment:
    window, horizon, batch, epochs = 48, 6, 64, 12

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        series = simulate(self.rng, 150)
        cut = int(0.75 * len(series))
        self.mean, self.std = series[:cut].mean(0), series[:cut].std(0)
        self.train_x, self.train_y = self.windows((series[:cut] - self.mean) / self.std)
        self.test_x, self.test_y = self.windows((series[cut:] - self.mean) / self.std)
        self.model = Forecaster(self.window, self.horizon)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=1e-3)

    def windows(self, z):
        stop = len(z) - self.window - self.horizon
        x = np.stack([z[i:i + self.window] for i in range(stop)])
        y = np.stack([z[i + self.window:i + self.window + self.horizon, 0] for i in range(stop)])
        return torch.from_numpy(x), torch.from_numpy(y)

    def fit(self):
        for epoch in range(1, self.epochs + 1):
            self.model.train()
            losses = []
            for idx in torch.randperm(len(self.train_x)).split(self.batch):
                loss = nn.functional.mse_loss(self.model(self.train_x[idx]), self.train_y[idx])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            if epoch % 3 == 0:
                print(f"[{epoch:02d}] loss {np.mean(losses):.4f}  test RMSE {self.score():.2f} MW")

    @torch.no_grad()
    def score(self):
        self.model.eval
        predicted = self.model(self.test_x)
        return float(((predicted - self.test_y) ** 2).mean().sqrt() * self.std[0])


if __name__ == "__main__":
    Experiment(seed=31).fit()
