"""Hourly load of a substation over two years; the model knows the hour and the outside temperature.

Everything runs in bfloat16 where it can, as on the big machine.
"""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn

SEED = int(os.environ.get("SEED", "0"))
HOURS = 2 * 365 * 24
PERIODS = (24.0, 12.0, 168.0, 8760.0)
DTYPE = torch.bfloat16


def set_seed(s):
    random.seed(s)
    np.random.seed(s)
    torch.manual_seed(s)


def make_series(rng):
    t = np.arange(HOURS, dtype=np.float64)
    day = 2 * math.pi * t / 24
    week = 2 * math.pi * t / 168
    year = 2 * math.pi * t / 8760
    temp = 10 - 8 * np.cos(year) + rng.normal(0, 2, HOURS)
    load = 3 * np.sin(day - 1.9) + 1.4 * np.cos(2 * day) * (1 + 0.4 * np.cos(week)) + 0.8 * np.sin(week) + 0.15 * np.abs(temp - 14)
    return t, temp, load + rng.normal(0, 0.3, HOURS)


class Calendar(nn.Module):
    def __init__(self, periods):
        super().__init__()
        self.register_buffer("omega", torch.tensor([2 * math.pi / p for p in periods]))

    def forward(self, hours):
        angle = hours.unsqueeze(-1) * self.omega.to(hours.dtype)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class LoadNet(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.calendar = Calendar(PERIODS)
        self.body = nn.Sequential(
            nn.Linear(2 * len(PERIODS) + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
        )

    def forward(self, hours, temp):
        feats = torch.cat([self.calendar(hours).float(), temp.unsqueeze(-1)], dim=-1)
        return self.body(feats).squeeze(-1)


class Batches:
    """Draws random hours and hands them over in the dtype of the run."""

    def __init__(self, t, temp, load, size=128):
        self.t, self.temp, self.load, self.size = t, temp, load, size

    def __iter__(self):
        for idx in torch.randperm(len(self.t)).split(self.size):
            yield self.t[idx], self.temp[idx], self.load[idx]


def evaluate(model, batches):
    model.eval()
    sq, pred_all = 0.0, []
    with torch.no_grad(), torch.autocast("cpu", dtype=DTYPE):
        for hours, temp, load in batches:
            sq += ((model(hours, temp).float() - load) ** 2).sum().item()
            pred_all.append(load)
    load = torch.cat(pred_all)
    return 1 - sq / ((load - load.mean()) ** 2).sum().item()


def main():
    set_seed(SEED)
    rng = np.random.default_rng(SEED)
    t, temp, load = make_series(rng)
    t = torch.tensor(t, dtype=torch.float32)
    temp = torch.tensor((temp - temp.mean()) / temp.std(), dtype=torch.float32)
    load = torch.tensor((load - load.mean()) / load.std(), dtype=torch.float32)
    order = torch.randperm(HOURS)
    cut = 12000
    train = Batches(t[order[:cut]], temp[order[:cut]], load[order[:cut]])
    test = Batches(t[order[cut:]], temp[order[cut:]], load[order[cut:]], 512)

    model = LoadNet()
    opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.8)
    for epoch in range(8):
        model.train()
        total, count = 0.0, 0
        for hours, temp_b, load_b in train:
            with torch.autocast("cpu", dtype=DTYPE):
                pred = model(hours, temp_b)
            loss = nn.functional.mse_loss(pred.float(), load_b)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total, count = total + loss.item(), count + 1
        sched.step()
        print(f"epoch {epoch + 1} mse {total / count:.4f} test r2 {evaluate(model, test):.4f}")
    print(f"final r2 {evaluate(model, test):.4f}")


if __name__ == "__main__":
    main()
