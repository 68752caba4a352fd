from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass
class Config:
    window: int = 16
    hidden: int = 32
    batch: int = 64
    epochs: int = 10
    lr: float = 3e-3
    seed: int = 8


def record(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Hourly log of a boiler: steam pressure in Pa, feed water in kg/h, flue gas in K, and whether scale built up."""
    load = np.zeros(n)
    fouling = np.zeros(n)
    for t in range(1, n):
        load[t] = 0.95 * load[t - 1] + 0.3 * rng.normal()
        fouling[t] = 0.9 * fouling[t - 1] + 0.3 * rng.normal()
    pressure = 850_000 + 25_000 * load + 6_000 * rng.normal(size=n)
    feed = 12_000 + 900 * load - 500 * fouling + 150 * rng.normal(size=n)
    flue = 470 + 9 * load + 8 * fouling + 3 * rng.normal(size=n)
    return np.stack([pressure, feed, flue], 1), (fouling > 0).astype(np.int64)


class BoilerWatch:
    def __init__(self, cfg: Config):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        self.rng = np.random.default_rng(cfg.seed)
        self.gru = nn.GRU(3, cfg.hidden, batch_first=True)
        self.head = nn.Linear(cfg.hidden, 2)
        params = [*self.gru.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(params, lr=cfg.lr)
        self.loss = nn.CrossEntropyLoss()

    def windows(self, log: np.ndarray, state: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        w = self.cfg.window
        x = np.lib.stride_tricks.sliding_window_view(log, w, axis=0).transpose(0, 2, 1)
        return torch.tensor(x.copy(), dtype=torch.float32), torch.tensor(state[w - 1 :])

    def prepare(self) -> None:
        log, state = record(3200, self.rng)
        train, test = log[:2400], log[2400:]
        mean, std = train.mean(axis=0), train.std(axis=0)
        self.x, self.y = self.windows((train - mean) / std, state[:2400])
        self.xt, self.yt = self.windows((test - mean) / std, state[2400:])

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        out, _ = self.gru(x)
        return self.head(out[:, -1])

    def epoch(self) -> float:
        losses = []
        for rows in torch.randperm(len(self.x)).split(self.cfg.batch):
            self.optimizer.zero_grad()
            loss = self.loss(self.logits(self.x[rows]), self.y[rows])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    @torch.no_grad()
    def test(self) -> float:
        return (self.logits(self.xt).argmax(1) == self.yt).float().mean().item()


if __name__ == "__main__":
    watch = BoilerWatch(Config())
    watch.prepare()
    for e in range(watch.cfg.epochs):
        print(f"epoch {e + 1} loss {watch.epoch():.3f} test accuracy {watch.test():.3f}")
