"""How heavy is the truck, and how sure are we? Weight in tonnes from the strain under the bridge, with an error bar."""
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def crossings(n, rng):
    load = rng.gamma(6.0, 4.0, n) + 3.0
    speed = rng.uniform(20, 90, n)
    axles = np.clip(np.round(load / 9 + rng.normal(0, 0.5, n)), 2, 6)
    heat = rng.normal(14, 8, n)
    spread = 0.2 + 0.0006 * (speed - 20) ** 2  # fast trucks bounce
    strain = 31 * load * (1 - 0.004 * (heat - 14)) + 31 * spread * rng.normal(size=n)
    peak = strain / axles**0.7 * (1 + 0.002 * speed)
    x = np.stack([strain, peak, speed, axles, heat], 1)
    return x.astype(np.float32), load.astype(np.float32)[:, None]


class Standard:
    def __init__(self, values):
        self.mean, self.std = values.mean(0), values.std(0)

    def __call__(self, values):
        return torch.from_numpy((values - self.mean) / self.std)


class WeighBridge(nn.Module):
    def __init__(self, n_in, width=48):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.mean = nn.Linear(width, 1)
        self.raw_var = nn.Linear(width, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.mean(h), nn.functional.softplus(self.raw_var(h)) + 1e-5


def run(model, loader, criterion, opt=None):
    model.train(opt is not None)
    total = count = 0
    with torch.set_grad_enabled(opt is not None):
        for x, y in loader:
            mean, var = model(x)
            loss = criterion(mean, y, var)
            if opt is not None:
                opt.zero_grad()
                loss.backward()
                opt.step()
            total += loss.item() * len(x)
            count += len(x)
    return total / count


def main():
    torch.manual_seed(17)
    rng = np.random.default_rng(17)
    sets = {name: crossings(n, rng) for name, n in (("fit", 2400), ("check", 500), ("final", 800))}
    scale_x, scale_y = Standard(sets["fit"][0]), Standard(sets["fit"][1])
    loaders = {
        name: DataLoader(TensorDataset(scale_x(x), scale_y(y)), batch_size=64, shuffle=name == "fit")
        for name, (x, y) in sets.items()
    }
    model = WeighBridge(5)
    criterion = nn.GaussianNLLLoss()
    opt = torch.optim.NAdam(model.parameters(), lr=3e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.3, patience=3)
    best, kept = float("inf"), None
    for epoch in range(30):
        fit = run(model, loaders["fit"], criterion, opt)
        check = run(model, loaders["check"], criterion)
        plateau.step(check)
        if check < best:
            best, kept = check, copy.deepcopy(model.state_dict())
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:2d}  nll {fit:.3f}  held back {check:.3f}  lr {opt.param_groups[0]['lr']:.1e}")

    model.load_state_dict(kept)
    model.eval()
    x, y = sets["final"]
    with torch.no_grad():
        mean, var = (t.numpy() for t in model(scale_x(x)))
    tonnes, bar = mean * scale_y.std + scale_y.mean, np.sqrt(var) * scale_y.std
    error = np.abs(tonnes - y)
    print(f"mean error {error.mean():.3f} t (always the mean: {np.abs(y - scale_y.mean).mean():.3f} t)")
    print(f"within two bars {np.mean(error < 2 * bar):.3f}, bar of slow {bar[x[:, 2] < 40].mean():.2f} t, of fast {bar[x[:, 2] > 75].mean():.2f} t")


if __name__ == "__main__":
    main()
