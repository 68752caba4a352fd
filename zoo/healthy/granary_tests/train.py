"""Grain intake bench: moisture, protein and variety from one near-infrared scan.

The three losses are balanced by learned log-variances (Kendall, Gal and Cipolla, 2018).
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

BANDS, VARIETIES = 80, 4


def scan_samples(n, seed):
    rng = np.random.default_rng(seed)
    axis = np.linspace(0, 1, BANDS)

    def peak(centre, width):
        return np.exp(-((axis - centre) ** 2) / (2 * width ** 2))

    moisture = rng.normal(13.5, 1.5, n)
    protein = rng.normal(11.0, 1.6, n)
    variety = rng.integers(0, VARIETIES, n)
    hulls = np.stack([peak(0.12 + 0.05 * k, 0.04) + 0.5 * peak(0.9 - 0.04 * k, 0.03) for k in range(VARIETIES)])
    scans = (np.outer(moisture / 13.5, peak(0.55, 0.06) + 0.5 * peak(0.8, 0.04))
             + np.outer(protein / 11, 0.7 * peak(0.38, 0.05) + 0.4 * peak(0.67, 0.03))
             + 0.25 * hulls[variety])
    gain = rng.normal(1, 0.05, (n, 1))
    tilt = rng.normal(0, 0.15, (n, 1)) * (axis - 0.5) + rng.normal(0, 0.1, (n, 1))
    scans = gain * scans + tilt + rng.normal(0, 0.015, scans.shape)
    return (torch.tensor(scans, dtype=torch.float32), torch.tensor(np.stack([moisture, protein], 1), dtype=torch.float32),
            torch.tensor(variety))


class Bench(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv1d(1, 16, 7, padding=3), nn.GELU(), nn.AvgPool1d(2),
            nn.Conv1d(16, 24, 5, padding=2), nn.GELU(), nn.AvgPool1d(2),
            nn.Flatten(), nn.Linear(24 * BANDS // 4, 64), nn.GELU())
        self.moisture = nn.Linear(64, 1)
        self.protein = nn.Linear(64, 1)
        self.variety = nn.Linear(64, VARIETIES)

    def forward(self, scans):
        h = self.trunk(scans.unsqueeze(1))
        return self.moisture(h).squeeze(1), self.protein(h).squeeze(1), self.variety(h)


def task_losses(outputs, values, variety):
    return torch.stack([F.mse_loss(outputs[0], values[:, 0]),
                        F.mse_loss(outputs[1], values[:, 1]),
                        F.cross_entropy(outputs[2], variety)])


def balanced(losses, log_vars):
    scale = torch.tensor([0.5, 0.5, 1.0])
    return (scale * torch.exp(-log_vars) * losses + 0.5 * log_vars).sum()


def main():
    torch.manual_seed(30)
    scans, values, variety = scan_samples(3000, seed=30)
    order = torch.randperm(3000, generator=torch.Generator().manual_seed(1))
    tr, te = order[:2400], order[2400:]
    centre, spread = scans[tr].mean(0), scans[tr].std(0)
    v_mean, v_std = values[tr].mean(0), values[tr].std(0)
    scans, scaled = (scans - centre) / spread, (values - v_mean) / v_std

    bench = Bench()
    log_vars = nn.Parameter(torch.zeros(3))
    epochs = 30
    loader = DataLoader(TensorDataset(scans[tr], scaled[tr], variety[tr]), batch_size=64, shuffle=True)
    optimizer = torch.optim.AdamW([{"params": bench.parameters(), "lr": 1e-3, "weight_decay": 1e-2},
                                   {"params": [log_vars], "lr": 1e-2, "weight_decay": 0.0}])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    for epoch in range(epochs):
        bench.train()
        seen = torch.zeros(4)
        for x, v, k in loader:
            losses = task_losses(bench(x), v, k)
            total = balanced(losses, log_vars)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            scheduler.step()
            seen += torch.cat([total.detach().view(1), losses.detach()]) / len(loader)
        if epoch % 5 == 4:
            print("epoch %2d  total %6.3f  moisture %.4f  protein %.4f  variety %.4f" % (epoch + 1, *seen.tolist()),
                  "  log-variances", [round(s, 2) for s in log_vars.tolist()])

    bench.eval()
    with torch.no_grad():
        m, p, k = bench(scans[te])
    found = torch.stack([m, p], 1) * v_std + v_mean
    r2 = 1 - (found - values[te]).pow(2).mean(0) / values[te].var(0, unbiased=False)
    print(f"test R2 of moisture {r2[0]:.3f} and protein {r2[1]:.3f}, "
          f"variety accuracy {(k.argmax(1) == variety[te]).float().mean():.3f}")


if __name__ == "__main__":
    main()
