"""Orders of a wholesaler: seven days ahead from the last four weeks."""
import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

DEFAULTS = dict(
    seed=17,
    products=40,
    days=260,
    context=28,
    horizon=7,
    hidden=40,
    batch_size=128,
    epochs=15,
    lr=4e-3,
    warmup_share=0.1,
    clip=1.0,
)


def make_orders(cfg, rng):
    t = np.arange(cfg.days)
    level = rng.uniform(20, 200, (cfg.products, 1))
    week = 1 + 0.5 * rng.standard_normal((cfg.products, 7)).clip(-1.5, 1.5)
    weekly = week[:, t % 7]
    slow = 1 + 0.3 * np.sin(2 * np.pi * (t[None] / rng.uniform(50, 110, (cfg.products, 1)) + rng.uniform(0, 1, (cfg.products, 1))))
    noise = 1 + 0.08 * rng.standard_normal((cfg.products, cfg.days))
    return level * weekly * slow * noise


def windows(orders, cfg, start, stop):
    xs, ys = [], []
    for s in range(start, stop - cfg.context - cfg.horizon + 1):
        xs.append(orders[:, s:s + cfg.context])
        ys.append(orders[:, s + cfg.context:s + cfg.context + cfg.horizon])
    x, y = np.concatenate(xs), np.concatenate(ys)
    scale = np.abs(x).mean(axis=1, keepdims=True)
    to = lambda a: torch.tensor(a, dtype=torch.float32)
    return to(x / scale), to(y / scale)


class Forecaster(nn.Module):
    def __init__(self, context, hidden, horizon):
        super().__init__()
        self.horizon = horizon
        self.encoder = nn.Sequential(nn.Linear(context, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, hidden), nn.Tanh())
        self.decoder = nn.GRUCell(2, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        h, last = self.encoder(x), x[:, -1:]
        steps = []
        for i in range(self.horizon):
            week_ago = x[:, i - 7:i - 6] if i < 6 else x[:, -1:]
            h = self.decoder(torch.cat([last, week_ago], dim=1), h)
            last = self.out(h)
            steps.append(last)
        return torch.cat(steps, dim=1)


def warmup_then_linear(optimizer, total, warmup):
    def factor(step):
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, (total - step) / max(1, total - warmup))
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def train(model, loader, cfg):
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=1e-4)
    total = cfg.epochs
    scheduler = warmup_then_linear(optimizer, total, warmup=int(cfg.warmup_share * total))
    loss_fn = nn.SmoothL1Loss()
    for epoch in range(cfg.epochs):
        model.train()
        losses = []
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), cfg.clip)
            optimizer.step()
            # finer than once an epoch: the curve is smoother this way
            scheduler.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}")


@torch.no_grad()
def mae(model, x, y):
    model.eval()
    return (model(x) - y).abs().mean().item()


def main(args):
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    orders = make_orders(args, np.random)
    cut = int(0.75 * args.days)
    x_train, y_train = windows(orders, args, 0, cut)
    x_test, y_test = windows(orders, args, cut, args.days)
    keep = torch.randperm(len(x_train))[:4000]
    loader = DataLoader(TensorDataset(x_train[keep], y_train[keep]), batch_size=args.batch_size, shuffle=True)
    model = Forecaster(args.context, args.hidden, args.horizon)
    train(model, loader, args)
    naive = (x_test[:, -7:] - y_test).abs().mean().item()
    ours = mae(model, x_test, y_test)
    print(f"last week repeated {naive:.4f}  model {ours:.4f}")
    print(f"test mae {ours:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for key, value in DEFAULTS.items():
        parser.add_argument(f"--{key}", type=type(value), default=value)
    main(parser.parse_args())
