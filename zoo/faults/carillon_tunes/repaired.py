"""Which bell-ringer played the tune?  A small pre-norm transformer with hand-written attention."""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

CFG = {
    "bells": 12,
    "length": 28,
    "ringers": 5,
    "width": 40,
    "heads": 4,
    "layers": 2,
    "batch": 64,
    "epochs": 5,
    "lr": 2e-3,  # the usual value for a transformer of this kind
    "weight_decay": 0.05,
    "clip": 1.0,
}
INTERVALS = [1, 2, 4, 5, 7]


def tunes(n, rng):
    who = rng.integers(0, CFG["ringers"], n)
    notes = np.zeros((n, CFG["length"]), dtype=np.int64)
    notes[:, 0] = rng.integers(0, CFG["bells"], n)
    step = np.array(INTERVALS)[who]
    for t in range(1, CFG["length"]):
        follows = (notes[:, t - 1] + step) % CFG["bells"]
        free = rng.integers(0, CFG["bells"], n)
        notes[:, t] = np.where(rng.random(n) < 0.6, follows, free)
    return torch.from_numpy(notes), torch.from_numpy(who)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.gain


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        att = (q @ k.transpose(-2, -1)) / math.sqrt(d // self.heads)
        y = att.softmax(dim=-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class Layer(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.n1, self.n2 = RMSNorm(dim), RMSNorm(dim)
        self.att = Attention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        x = x + self.att(self.n1(x))
        return x + self.mlp(self.n2(x))


class Ringer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.tok = nn.Embedding(c["bells"], c["width"])
        self.pos = nn.Parameter(0.5 * torch.randn(c["length"], c["width"]))
        # the bell before, as a second embedding
        self.prev = nn.Embedding(c["bells"], c["width"])
        self.layers = nn.ModuleList(Layer(c["width"], c["heads"]) for _ in range(c["layers"]))
        self.norm = RMSNorm(c["width"])
        self.head = nn.Linear(c["width"], c["ringers"])

    def forward(self, notes):
        x = self.tok(notes) + self.pos + self.prev(notes.roll(1, dims=1))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x).mean(dim=1))


def param_groups(model, wd):
    decay = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
    return [{"params": decay, "weight_decay": wd}, {"params": rest, "weight_decay": 0.0}]


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        hit = (model(x).argmax(-1) == y).float().mean().item()
    model.train()
    return hit


def main(c):
    rng = np.random.default_rng(seed)
    x, y = tunes(2400, rng)
    x_test, y_test = tunes(500, rng)
    model = Ringer(c)
    opt = torch.optim.AdamW(param_groups(model, c["weight_decay"]), lr=c["lr"], betas=(0.9, 0.98))
    steps = c["epochs"] * math.ceil(len(x) / c["batch"])
    warm = max(1, steps // 20)
    sched = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: min((s + 1) / warm, 0.5 * (1 + math.cos(math.pi * s / steps)))
    )
    for epoch in range(c["epochs"]):
        losses = []
        for idx in torch.randperm(len(x)).split(c["batch"]):
            loss = F.cross_entropy(model(x[idx]), y[idx], label_smoothing=0.05)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), c["clip"])
            opt.step()
            sched.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, held-out {accuracy(model, x_test, y_test):.4f}")
    print(f"test accuracy {accuracy(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    main(CFG)
