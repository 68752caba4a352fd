import numpy as np
import torch
from torch import nn

COLUMNS = ["floor_area", "distance_to_water", "income_nearby", "built", "rooms"]
SKEWED = [0, 1, 2]


def listings(n, rng):
    area = rng.lognormal(4.2, 0.45, n)
    distance = rng.lognormal(6.0, 1.1, n)
    income = rng.lognormal(10.3, 0.35, n)
    built = rng.uniform(1920, 2020, n)
    rooms = np.clip(np.round(area / 22 + rng.normal(0, 0.7, n)), 1, None)
    log_rent = (
        1.0 + 0.75 * np.log(area) - 0.22 * np.log(distance) + 0.45 * np.log(income)
        + 0.12 * np.cos((built - 1920) / 16) + 0.05 * rooms + 0.07 * rng.standard_normal(n)
    )
    return np.stack([area, distance, income, built, rooms], axis=1), log_rent


class RentModel:
    """A network with the preparation of its inputs; fit and predict as in scikit-learn."""

    def __init__(self, hidden=64, lr=3e-3, epochs=25, batch=64):
        self.hidden, self.lr, self.epochs, self.batch = hidden, lr, epochs, batch

    def _standardise(self, table):
        return torch.tensor((table - self.centre) / self.spread, dtype=torch.float32)

    def fit(self, table, target):
        table = table.copy()
        table[:, SKEWED] = np.log(table[:, SKEWED])
        self.centre, self.spread = table.mean(0), table.std(0)
        self.y_mean, self.y_std = target.mean(), target.std()
        x = self._standardise(table)
        y = torch.tensor((target - self.y_mean) / self.y_std, dtype=torch.float32)
        self.net = nn.Sequential(
            nn.Linear(x.shape[1], self.hidden), nn.GELU(), nn.Linear(self.hidden, self.hidden), nn.GELU(),
            nn.Linear(self.hidden, 1), nn.Flatten(0),
        )
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=self.lr)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        for epoch in range(self.epochs):
            losses = []
            for rows in torch.randperm(len(x)).split(self.batch):
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(self.net(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            schedule.step()
            if epoch % 6 == 0:
                print(f"epoch {epoch}: mse {np.mean(losses):.4f}")
        return self

    @torch.no_grad()
    def predict(self, table):
        self.net.eval()
        x = self._standardise(table)
        return self.net(x).numpy() * self.y_std + self.y_mean


if __name__ == "__main__":
    rng = np.random.default_rng(77)
    torch.manual_seed(77)
    table, target = listings(1600, rng)
    model = RentModel().fit(table[:1200], target[:1200])
    guess = model.predict(table[1200:])
    residual = target[1200:] - guess
    r2 = 1 - (residual**2).sum() / ((target[1200:] - target[1200:].mean()) ** 2).sum()
    print(f"held-out R2 {r2:.4f}")
