"""The next thing that goes into a grocer's basket, from the things that are in it already."""
import math
import os
import random
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    items: int = 60
    tastes: int = 8
    basket: int = 6
    dim: int = 48
    micro_batch: int = 32
    accumulation: int = 4
    max_iters: int = 350
    warmup: int = 40
    lr: float = 5e-3
    min_lr: float = 2e-4
    weight_decay: float = 0.01
    log_interval: int = 70
    seed: int = int(os.environ.get("SEED", "0"))


class Market:
    """Customers with tastes; a taste is a distribution over the items."""

    def __init__(self, cfg, rng):
        self.cfg, self.rng = cfg, rng
        self.liking = rng.dirichlet(np.full(cfg.items, 0.08), cfg.tastes)

    def baskets(self, n):
        taste = self.rng.integers(0, self.cfg.tastes, n)
        rows = np.stack([self.rng.choice(self.cfg.items, self.cfg.basket + 1, p=self.liking[t])
                         for t in taste])
        return torch.tensor(rows)


class BasketModel(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.item = nn.Embedding(cfg.items, cfg.dim)
        self.mix = nn.Sequential(nn.LayerNorm(cfg.dim), nn.Linear(cfg.dim, 2 * cfg.dim), nn.GELU(),
                                 nn.Linear(2 * cfg.dim, cfg.dim), nn.GELU())
        self.gate = nn.Linear(cfg.dim, 1)
        self.out = nn.Linear(cfg.dim, cfg.items)

    def forward(self, things, target=None):
        e = self.item(things)
        weight = self.gate(e).softmax(dim=1)
        logits = self.out(self.mix((weight * e).sum(1)))
        loss = None if target is None else F.cross_entropy(logits.float(), target)
        return logits, loss


def endless_batches(data, size):
    while True:
        order = torch.randperm(len(data))
        for i in range(0, len(order) - size + 1, size):
            rows = data[order[i:i + size]]
            yield rows[:, :-1], rows[:, -1]


def get_lr(cfg, it):
    if it < cfg.warmup:
        return cfg.lr * (it + 1) / cfg.warmup
    share = (it - cfg.warmup) / max(1, cfg.max_iters - cfg.warmup)
    return cfg.min_lr + 0.5 * (cfg.lr - cfg.min_lr) * (1 + math.cos(math.pi * share))


@torch.no_grad()
def evaluate(model, data):
    model.eval()
    logits, loss = model(data[:, :-1], data[:, -1])
    top5 = (logits.topk(5, dim=1).indices == data[:, -1:]).any(1).float().mean().item()
    model.train()
    return loss.item(), top5


def main():
    cfg = Config()
    print(asdict(cfg))
    random.seed(cfg.seed)
    np.random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    market = Market(cfg, np.random.default_rng(cfg.seed))
    train, val = market.baskets(6000), market.baskets(1000)
    model = BasketModel(cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay,
                                  betas=(0.9, 0.95))
    batches = endless_batches(train, cfg.micro_batch)
    x, y = next(batches)  # fetch the very first batch
    began = time.time()
    for it in range(cfg.max_iters):
        for group in optimizer.param_groups:
            group["lr"] = get_lr(cfg, it)
        # several micro batches make a large batch
        total = 0.0
        for micro_step in range(cfg.accumulation):
            _, loss = model(x, y)
            loss = loss / cfg.accumulation
            x, y = next(batches)
            loss.backward()
            total += loss.item()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (it + 1) % cfg.log_interval == 0:
            val_loss, top5 = evaluate(model, val)
            print(f"iter {it + 1}: loss {total:.4f}, val {val_loss:.4f}, hit@5 {top5:.4f}, "
                  f"{(time.time() - began) / (it + 1) * 1000:.1f} ms")
    val_loss, top5 = evaluate(model, val)
    print(f"final validation loss {val_loss:.4f}")
    print(f"final hit@5 {top5:.4f}")


if __name__ == "__main__":
    main()
