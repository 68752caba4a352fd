import argparse

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def read_station(n, seed):
    """Hourly readings of six sensors; the target is next-hour ozone."""
    rng = np.random.default_rng(seed)
    base = np.cumsum(rng.normal(size=(n, 6)) * 0.3, axis=0)
    base = base - base.mean(0)
    table = base + 0.1 * rng.normal(size=base.shape)
    ozone = np.tanh(base[:, 0]) + 0.5 * base[:, 1] - 0.3 * base[:, 2] * (base[:, 3] > 0)
    gaps = rng.random(table.shape) < 0.001
    table[gaps] = np.nan
    return table, ozone


def prepare(table, ozone, cut):
    m, s = np.nanmean(table[:cut], 0), np.nanstd(table[:cut], 0)
    x = torch.tensor(np.nan_to_num((table - m) / s), dtype=torch.float32)
    y = torch.tensor((ozone - ozone[:cut].mean()) / ozone[:cut].std(), dtype=torch.float32)[:, None]
    order = torch.randperm(len(x))
    return TensorDataset(x[order[:cut]], y[order[:cut]]), TensorDataset(x[order[cut:]], y[order[cut:]])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=20)
    args = ap.parse_args()
    torch.manual_seed(61)
    table, ozone = read_station(1500, 61)
    train, val = prepare(table, ozone, 1200)
    loader = DataLoader(train, batch_size=50, shuffle=True)
    net = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(args.epochs):
        tot = 0.0
        for x, y in loader:
            opt.zero_grad()
            loss = nn.functional.l1_loss(net(x), y)
            loss.backward()
            opt.step()
            tot += loss.item()
        x, y = val.tensors
        with torch.no_grad():
            mae = (net(x) - y).abs().nanmean().item()
        print(f"epoch {epoch} train mae {tot / len(loader):.4f} val mae {mae:.4f}")


main()
