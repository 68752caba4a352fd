"""How full will the tram be in the next quarter of an hour? A look back over one day."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SLOTS = 48  # half hours in a day
torch.manual_seed(3)
rng = np.random.default_rng(3)


def simulate(days):
    t = np.arange(days * SLOTS)
    hour = t % SLOTS / 2
    rush = np.exp(-0.5 * ((hour - 8) / 1.2) ** 2) + 0.8 * np.exp(-0.5 * ((hour - 17) / 1.8) ** 2)
    weekend = (t // SLOTS % 7) >= 5
    load = 12 + 70 * rush * np.where(weekend, 0.35, 1.0)
    shock = np.zeros(len(t))
    for i in range(1, len(t)):
        shock[i] = 0.85 * shock[i - 1] + 3 * rng.standard_normal()
    return (load + shock).astype(np.float32), (t // SLOTS).astype(np.float32)


def windows(series, day, first, last):
    x, y, w = [], [], []
    for i in range(first * SLOTS + SLOTS, last * SLOTS):
        x.append(series[i - SLOTS : i])
        y.append(series[i])
        w.append(0.99 ** (last - day[i]))  # what is long ago counts less
    return torch.tensor(np.stack(x)), torch.tensor(y), torch.tensor(w, dtype=torch.float32)


def make_trainer(model, optimizer):
    def weighted_error(guess, target, weight):
        return (weight * (guess - target) ** 2).sum() / weight.sum()

    def run(batch):
        x, y, w = batch
        optimizer.zero_grad()
        loss = weighted_error(model(x), y, w)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


series, day = simulate(70)
mean, std = series[: 56 * SLOTS].mean(), series[: 56 * SLOTS].std()
series = (series - mean) / std
train = TensorDataset(*windows(series, day, 0, 56))
x_test, y_test, _ = windows(series, day, 56, 70)

model = nn.Sequential(nn.Linear(SLOTS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
train_step = make_trainer(model, torch.optim.Adam(model.parameters(), lr=1e-3))
loader = DataLoader(train, batch_size=64, shuffle=True)
for epoch in range(1, 11):
    model.train()
    losses = [train_step(batch) for batch in loader]
    model.eval()
    with torch.no_grad():
        off = (model(x_test)[:, 0] - y_test).abs().mean().item() * std
    print(f"epoch {epoch:2d}  loss {np.mean(losses):.4f}  passengers off {off:.2f}")
