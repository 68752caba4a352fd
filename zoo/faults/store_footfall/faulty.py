"""Visitors and receipts of shops, one model with two heads."""
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

N_SHOPS = 25


def simulate(rng, n):
    shop = rng.integers(0, N_SHOPS, n)
    size = rng.normal(0, 0.5, N_SHOPS)[shop]
    hour = rng.integers(8, 21, n)
    weekday = rng.integers(0, 7, n)
    rain = rng.binomial(1, 0.3, n)
    temp = rng.normal(14, 7, n)
    offer = rng.binomial(1, 0.15, n)
    log_visitors = (
        3.5 + size
        + 0.6 * np.exp(-((hour - 12) / 2.0) ** 2) + 0.8 * np.exp(-((hour - 18) / 1.5) ** 2)
        + 0.4 * (weekday == 5) - 0.9 * (weekday == 6)
        - 0.35 * rain + 0.01 * (temp - 14)
        + 0.1 * rng.standard_normal(n)
    )
    share = 1 / (1 + np.exp(-(-0.8 + 0.9 * offer + 0.3 * rain - 0.4 * size + 0.05 * rng.standard_normal(n))))
    numeric = np.stack([np.sin(2 * np.pi * hour / 24), np.cos(2 * np.pi * hour / 24), (hour - 14) / 4,
                        rain, (temp - 14) / 7, offer], axis=1)
    numeric = np.concatenate([numeric, np.eye(7)[weekday]], axis=1)
    return shop, numeric, np.stack([log_visitors, share], axis=1)


class FootfallNet(nn.Module):
    def __init__(self, n_numeric, dim=8, width=64):
        super().__init__()
        self.shop = nn.Embedding(N_SHOPS, dim)
        self.trunk = nn.Sequential(
            nn.Linear(n_numeric + dim, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
        )
        self.visitors = nn.Linear(width, 1)
        self.share = nn.Linear(width, 1)

    def forward(self, shop, numeric):
        h = self.trunk(torch.cat([self.shop(shop), numeric], dim=1))
        return torch.cat([self.visitors(h), self.share(h)], dim=1)


def make_loader(arrays, batch_size, shuffle=True):
    return DataLoader(TensorDataset(*arrays), batch_size=batch_size, shuffle=shuffle)


@torch.no_grad()
def predict(model, loader):
    model.eval()
    return torch.cat([model(shop, numeric) for shop, numeric, _ in loader])


def r2(pred, true):
    return 1 - ((pred - true) ** 2).mean(dim=0) / true.var(dim=0)


def fit(model, train_loader, val_arrays, epochs, lr):
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=3)
    loss_fn = nn.MSELoss(reduction="none")
    weights = torch.tensor([1.0, 1.0])
    best, best_state = float("inf"), None
    for epoch in range(epochs):
        model.train()
        for shop, numeric, target in train_loader:
            loss = (loss_fn(model(shop, numeric), target) * weights).sum(dim=1).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
        model.eval()
        with torch.no_grad():
            shop, numeric, target = val_arrays
            val = (loss_fn(model(shop, numeric), target) * weights).sum(dim=1).mean().item()
        plateau.step(val)
        if val < best:
            best, best_state = val, copy.deepcopy(model.state_dict())
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1} train {loss.item():.4f} val {val:.4f}")
    model.load_state_dict(best_state)


def main(batch_size=128):
    torch.manual_seed(6)
    np.random.seed(6)
    rng = np.random.default_rng(np.random.randint(10 ** 6))
    shop, numeric, target = simulate(rng, 9000)
    tensors = (torch.tensor(shop), torch.tensor(numeric, dtype=torch.float32), torch.tensor(target, dtype=torch.float32))
    cut_a, cut_b = 6500, 7500
    train = [t[:cut_a] for t in tensors]
    val = [t[cut_a:cut_b] for t in tensors]
    test = [t[cut_b:] for t in tensors]
    mean, std = train[2].mean(0), train[2].std(0)
    for part in (train, val, test):
        part[2] = (part[2] - mean) / std

    model = FootfallNet(numeric.shape[1])
    fit(model, make_loader(train, batch_size), val, epochs=45, lr=2e-3)

    test_loader = make_loader(test, 256)
    pred = predict(model, test_loader)
    score = r2(pred, test[2])
    print(f"r2 receipts {score[1]:.4f}")
    print(f"r2 visitors {score[0]:.4f}")


if __name__ == "__main__":
    main()
