"""Odd boiler states by random network distillation: a predictor imitates a fixed random
network on normal days; where it cannot, the state is odd."""
import torch
from torch import nn
from torch.nn.utils import spectral_norm

torch.manual_seed(37)


def normal_days(n):
    load = torch.rand(n, 1)
    outside = torch.randn(n, 1)
    flow = 0.6 * load + 0.2 * outside.abs() + 0.05 * torch.randn(n, 1)
    feed = 60 + 15 * load - 4 * outside + 0.8 * torch.randn(n, 1)
    back = feed - 18 * load / (0.5 + flow) + 0.6 * torch.randn(n, 1)
    smoke = 120 + 60 * load ** 2 + 3 * torch.randn(n, 1)
    press = 1.5 + 0.01 * (feed - 60) + 0.02 * torch.randn(n, 1)
    return torch.cat([load, outside, flow, feed, back, smoke, press], 1)


def odd_days(n):
    x = normal_days(n)
    for j in range(2, x.shape[1]):
        hit = torch.rand(n) < 0.5
        x[hit, j] = x[torch.randperm(n)[:int(hit.sum())], j]
    return x


def build(n_in, n_out, hidden, wrap):
    return nn.Sequential(
        wrap(nn.Linear(n_in, hidden)), nn.ReLU(),
        wrap(nn.Linear(hidden, hidden)), nn.ReLU(),
        wrap(nn.Linear(hidden, n_out)),
    )


def make_target(n_in, n_out):
    target = build(n_in, n_out, 64, spectral_norm)
    target.requires_grad_(False)
    for _ in range(30):
        target(torch.randn(8, n_in))
    target.eval()
    return target


def train(predictor, target, x, epochs=40, batch=64):
    optimizer = torch.optim.Adam(predictor.parameters(), lr=1e-3)
    predictor.train()
    for epoch in range(epochs):
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            with torch.no_grad():
                goal = target(x[idx])
            loss = (predictor(x[idx]) - goal).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}  loss {total / len(x):.6f}")


def oddness(predictor, target, x):
    predictor.eval()
    with torch.no_grad():
        return (predictor(x) - target(x)).pow(2).mean(1)


def rank_auc(low, high):
    return (high[:, None] > low[None]).float().mean().item()


x_train = normal_days(2000)
mean, std = x_train.mean(0), x_train.std(0)
x_train = (x_train - mean) / std
x_quiet = (normal_days(500) - mean) / std
x_odd = (odd_days(500) - mean) / std

target = make_target(x_train.shape[1], 16)
predictor = build(x_train.shape[1], 16, 96, lambda m: m)
train(predictor, target, x_train)

quiet, odd = oddness(predictor, target, x_quiet), oddness(predictor, target, x_odd)
with torch.no_grad():
    spread = (target(x_quiet) - target(x_train).mean(0)).pow(2).mean().item()
print(f"auc of odd against normal days {rank_auc(quiet, odd):.4f}")
print(f"unexplained share on normal days {quiet.mean().item() / spread:.4f}")
