"""14-day forecast of visitors for a dozen open-air pools: GRU encoder-decoder, early stopping, plateau schedule."""
import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

log = logging.getLogger("lido")


def simulate(n_pools, n_days, seed):
    rng = np.random.default_rng(seed)
    day = np.arange(n_days)
    annual = np.sin(2 * np.pi * (day - 105) / 365.25)
    week = np.array([0.0, -0.05, 0.0, 0.05, 0.15, 0.55, 0.50])[day % 7]
    anomaly = np.zeros((n_pools, n_days))
    for t in range(1, n_days):
        anomaly[:, t] = 0.75 * anomaly[:, t - 1] + rng.normal(0, 1.8, n_pools)
    temp = 15 + 9 * annual + anomaly
    level = rng.normal(5.0, 0.5, (n_pools, 1))
    drift = np.cumsum(rng.normal(0, 0.012, (n_pools, n_days)), 1)
    heat = 1.4 / (1 + np.exp(-(temp - 18) / 3))
    visits = np.exp(level + drift + week + heat + rng.normal(0, 0.08, (n_pools, n_days)))
    calendar = np.stack([np.sin(2 * np.pi * (day % 7) / 7), np.cos(2 * np.pi * (day % 7) / 7), day % 7 >= 5], 1)
    return np.log(visits), temp, calendar.astype(float)


class Windows(Dataset):
    def __init__(self, series, temp, calendar, starts, past, horizon):
        self.series, self.temp, self.calendar = series, temp, calendar
        self.past, self.horizon = past, horizon
        self.index = [(p, s) for p in range(len(series)) for s in starts]

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        p, s = self.index[i]
        mid, end = s + self.past, s + self.past + self.horizon
        known = torch.cat([self.temp[p, s:end, None], self.calendar[s:end]], 1)  # temperature is forecast well
        anchor = self.series[p, s:mid].mean()
        history = torch.cat([self.series[p, s:mid, None] - anchor, known[:self.past]], 1)
        return history, known[self.past:], self.series[p, mid:end] - anchor


class Forecaster(nn.Module):
    def __init__(self, n_known, hidden):
        super().__init__()
        self.encoder = nn.GRU(n_known + 1, hidden, batch_first=True)
        self.decoder = nn.GRU(n_known, hidden, batch_first=True)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, history, future):
        _, state = self.encoder(history)
        out, _ = self.decoder(future, state)
        return self.head(out).squeeze(-1)


class Trainer:
    def __init__(self, model, args, ckpt):
        self.model, self.args, self.ckpt = model, args, ckpt
        self.optim = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=1e-3)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optim, factor=0.4, patience=1)

    def _epoch(self, loader, train):
        self.model.train(train)
        err = n = 0.0
        with torch.set_grad_enabled(train):
            for history, future, y in loader:
                loss = nn.functional.l1_loss(self.model(history, future), y)
                if train:
                    self.optim.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    self.optim.step()
                err, n = err + loss.item() * len(y), n + len(y)
        return err / n

    def fit(self, train_dl, val_dl):
        best, bad = float("inf"), 0
        for epoch in range(self.args.max_epochs):
            tr, va = self._epoch(train_dl, True), self._epoch(val_dl, False)
            self.plateau.step(va)
            log.info("epoch %2d  train %.4f  val %.4f  lr %.1e", epoch, tr, va, self.optim.param_groups[0]["lr"])
            if va < best - 1e-4:
                best, bad = va, 0
                torch.save({"model": self.model.state_dict(), "epoch": epoch}, self.ckpt)
            else:
                bad += 1
                if bad > self.args.patience:
                    log.info("stopped early")
                    break
        self.model.load_state_dict(torch.load(self.ckpt)["model"])

    def test(self, loader):
        return self._epoch(loader, False)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--lr", type=float, default=4e-3)
    ap.add_argument("--hidden", type=int, default=32)
    ap.add_argument("--past", type=int, default=35)
    ap.add_argument("--horizon", type=int, default=14)
    ap.add_argument("--max-epochs", type=int, default=14)
    ap.add_argument("--patience", type=int, default=3)
    args = ap.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(5)

    y, temp, cal = simulate(12, 1400, seed=5)
    cut_a, cut_b, span = 980, 1180, args.past + args.horizon
    y = (y - y[:, :cut_a].mean(1, keepdims=True)) / y[:, :cut_a].std()      # training years only
    temp = (temp - temp[:, :cut_a].mean()) / temp[:, :cut_a].std()
    y, temp, cal = (torch.as_tensor(a, dtype=torch.float32) for a in (y, temp, cal))
    part = lambda lo, hi, stride: Windows(y, temp, cal, range(lo, hi - span + 1, stride), args.past, args.horizon)
    train_dl = DataLoader(part(0, cut_a, 3), batch_size=64, shuffle=True)
    val_dl, test_dl = DataLoader(part(cut_a, cut_b, 5), 256), DataLoader(part(cut_b, 1400, 5), 256)

    with tempfile.TemporaryDirectory() as tmp:
        trainer = Trainer(Forecaster(4, args.hidden), args, Path(tmp) / "best.pt")
        trainer.fit(train_dl, val_dl)
        mae = trainer.test(test_dl)
    naive = np.mean([(f - h[-7:, 0].repeat(2)).abs().mean().item() for h, _, f in test_dl.dataset])
    log.info("test MAE %.4f   same weekday last week %.4f", mae, naive)


if __name__ == "__main__":
    main()
