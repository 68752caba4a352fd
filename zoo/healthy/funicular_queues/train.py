"""Forecast the next 12 hours of passengers at a funicular from the last 96 hours."""
import copy
import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

HISTORY, HORIZON, ACCUMULATE, PATIENCE = 96, 12, 2, 5


def simulate(hours, rng):
    t = np.arange(hours)
    hour, day = t % 24, (t // 24) % 7
    commute = np.exp(-0.5 * ((hour - 8) / 1.5) ** 2) + np.exp(-0.5 * ((hour - 17.5) / 2.0) ** 2)
    outing = np.exp(-0.5 * ((hour - 14) / 3.0) ** 2)
    profile = np.where(day < 5, commute, 1.6 * outing)
    fog, level = np.zeros(hours), np.zeros(hours)
    for i in range(1, hours):
        fog[i] = 0.98 * fog[i - 1] + 0.2 * rng.standard_normal()
        level[i] = 0.995 * level[i - 1] + 0.02 * rng.standard_normal()
    visibility = 1 / (1 + np.exp(1.5 * fog))
    rate = 15 + 220 * profile * (0.4 + visibility) * np.exp(level)
    return rng.poisson(rate).astype(np.float32), visibility.astype(np.float32), hour, day


def make_features(counts, visibility, hour, day, train_end):
    y = np.log1p(counts)
    mean, std = y[:train_end].mean(), y[:train_end].std()
    vis = (visibility - visibility[:train_end].mean()) / visibility[:train_end].std()
    angles = [2 * math.pi * hour / 24, 2 * math.pi * (day * 24 + hour) / 168]
    clock = [f(a) * math.sqrt(2) for a in angles for f in (np.sin, np.cos)]
    x = np.stack([(y - mean) / std, vis, *clock]).astype(np.float32)
    return torch.from_numpy(x), mean, std


def windows(x, start, stop, stride=1):
    """All (history, future) pairs that lie wholly inside [start, stop)."""
    begins = range(start, stop - HISTORY - HORIZON + 1, stride)
    past = torch.stack([x[:, b:b + HISTORY] for b in begins])
    future = torch.stack([x[0, b + HISTORY:b + HISTORY + HORIZON] for b in begins])
    return TensorDataset(past, future)


class MixerBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.body = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width), nn.Dropout(0.1))

    def forward(self, x):
        return x + self.body(self.norm(x))


class Forecaster(nn.Module):
    def __init__(self, features, width=96):
        super().__init__()
        self.stem = nn.Linear(features * HISTORY, width)
        self.blocks = nn.Sequential(MixerBlock(width), MixerBlock(width))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, HORIZON))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x.flatten(1))))


def train_epoch(model, loader, opt):
    model.train()
    total, pending = 0.0, []
    for batch in loader:
        pending.append(batch)
        if len(pending) < ACCUMULATE:
            continue
        opt.zero_grad()
        for past, future in pending:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = model(past)
            loss = nn.functional.smooth_l1_loss(out.float(), future)
            (loss / ACCUMULATE).backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        pending = []
    return total / len(loader)


@torch.no_grad()
def predict(model, loader):
    model.eval()
    return (torch.cat([model(past) for past, _ in loader]),
            torch.cat([future for _, future in loader]))


def main():
    torch.manual_seed(4)
    counts, visibility, hour, day = simulate(24 * 7 * 30, np.random.default_rng(4))
    train_end, val_end = 24 * 7 * 20, 24 * 7 * 25
    x, mean, std = make_features(counts, visibility, hour, day, train_end)
    train = DataLoader(windows(x, 0, train_end), batch_size=32, shuffle=True, drop_last=True)
    val = DataLoader(windows(x, train_end, val_end, 2), batch_size=256)
    test = DataLoader(windows(x, val_end, x.shape[1], 2), batch_size=256)

    model = Forecaster(x.shape[0])
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
    best, best_state, stale = float("inf"), None, 0
    for epoch in range(14):
        train_loss = train_epoch(model, train, opt)
        out, future = predict(model, val)
        val_loss = nn.functional.smooth_l1_loss(out, future).item()
        plateau.step(val_loss)
        print(f"epoch {epoch:2d}  train {train_loss:.4f}  val {val_loss:.4f}  lr {opt.param_groups[0]['lr']:.1e}")
        if val_loss < best:
            best, best_state, stale = val_loss, copy.deepcopy(model.state_dict()), 0
        else:
            stale += 1
            if stale == PATIENCE:
                break
    model.load_state_dict(best_state)

    out, future = predict(model, test)
    actual, forecast = (torch.expm1(v * std + mean) for v in (future, out))
    starts = range(val_end + HISTORY, len(counts) - HORIZON + 1, 2)
    last_week = torch.from_numpy(np.stack([counts[s - 168:s - 168 + HORIZON] for s in starts]))
    mae, naive = (forecast - actual).abs().mean().item(), (last_week - actual).abs().mean().item()
    print(f"test MAE {mae:.1f} passengers, same hour last week {naive:.1f}")


if __name__ == "__main__":
    main()
