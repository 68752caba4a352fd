import numpy as np
import torch
import torch.nn.functional as F
from sklearn.preprocessing import StandardScaler
from torch import nn

SENSORS = ["conductivity", "temperature", "permittivity", "clay", "depth"]


def site(rng, rows=60):
    """Readings at one site. Sites differ in soil and climate more than the readings within one."""
    clay = rng.uniform(5, 45)
    climate = rng.normal(12, 4)
    wetness = rng.uniform(0.1, 0.4)
    water = np.clip(wetness + 0.04 * rng.normal(size=rows), 0.02, 0.5)
    depth = rng.choice([10.0, 30.0, 60.0], size=rows)
    temperature = climate + 3 * rng.normal(size=rows) - 0.03 * depth
    permittivity = 3 + 60 * water + 0.1 * clay + 0.8 * rng.normal(size=rows)
    conductivity = 80 * water * (1 + 0.02 * (temperature - 12)) + 0.5 * clay + 1.5 * rng.normal(size=rows)
    x = np.stack([conductivity, temperature, permittivity, np.full(rows, clay) + rng.normal(size=rows), depth], 1)
    return x.astype(np.float32), (100 * water).astype(np.float32)


def batches(x, y, size):
    order = torch.randperm(len(x))
    for start in range(0, len(x), size):
        pick = order[start : start + size]
        yield x[pick], y[pick]


def train(net, x, y, epochs=20, lr=3e-3):
    opt = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=1e-3)
    for epoch in range(1, epochs + 1):
        net.train()
        seen = 0.0
        for xb, yb in batches(x, y, 50):
            loss = F.mse_loss(net(xb).flatten(), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            seen += loss.item() * len(yb)
        if epoch % 5 == 0:
            print(f"{epoch:3d}: {seen / len(y):.4f}")


def rmse_by_site(net, sites, x_scaler, y_scaler):
    net.eval()
    out = []
    for x, water in sites:
        z = torch.from_numpy(x_scaler.transform(x))
        with torch.no_grad():
            guess = y_scaler.inverse_transform(net(z).numpy())[:, 0]
        out.append(np.sqrt(np.mean((guess - water) ** 2)))
    return np.array(out)


def main():
    np.random.seed(8)
    torch.manual_seed(8)
    rng = np.random.default_rng(np.random.randint(1 << 20))
    known = [site(rng) for _ in range(40)]
    new = [site(rng) for _ in range(15)]
    x_scaler, y_scaler = StandardScaler(), StandardScaler()
    x = x_scaler.fit_transform(np.concatenate([s[0] for s in known]))
    y = y_scaler.fit_transform(np.concatenate([s[1] for s in known])[:, None])[:, 0]
    net = nn.Sequential(nn.Linear(len(SENSORS), 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 1))
    train(net, torch.from_numpy(x), torch.from_numpy(y))
    errors = rmse_by_site(net, new, x_scaler, y_scaler)
    print(f"new sites: water content rmse {errors.mean():.3f} % (worst {errors.max():.3f} %)")


if __name__ == "__main__":
    main()
