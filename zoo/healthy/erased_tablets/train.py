"""Absorbing-state diffusion: learn to restore clay tablets of which a random part is erased.

A tablet is 10 x 10 wedges (0 or 1): four signs of 5 x 5 from a list of six, with 3 % of the cells worn.
With the schedule alpha(t) = 1 - t the bound on -log p is E[ 1/t * sum of erased cells' cross-entropies ].
"""
import argparse
import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CELLS, SIGNS, WEAR = 100, 6, 0.03


def dig(n, rng):
    signs = np.random.default_rng(77).integers(0, 2, (SIGNS, 5, 5))
    pick = rng.integers(0, SIGNS, (n, 2, 2))
    tablets = signs[pick].transpose(0, 1, 3, 2, 4).reshape(n, CELLS)
    return torch.tensor(tablets ^ (rng.random((n, CELLS)) < WEAR), dtype=torch.float32)


class Restorer(nn.Module):
    def __init__(self, width=256, blocks=2):
        super().__init__()
        self.read = nn.Linear(2 * CELLS, width)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(),
                                                  nn.Linear(width, width)) for _ in range(blocks))
        self.write = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CELLS))

    def forward(self, tablets, erased):
        kept = (~erased).float()
        h = self.read(torch.cat([(2 * tablets - 1) * kept, kept], 1))
        for block in self.blocks:
            h = h + block(h)
        return self.write(h)


def bound(net, tablets, t):
    """Single-draw estimate of the bound, one value per tablet; t has one erasure rate per tablet."""
    erased = torch.rand_like(tablets) < t[:, None]
    logits = net(tablets, erased)
    cell = F.binary_cross_entropy_with_logits(logits, tablets, reduction="none")
    return (cell * erased).sum(1) / t


def spread_times(n, low=1e-3):
    """Stratified times: one in each of n equal slices of (low, 1)."""
    return low + (1 - low) * (torch.randperm(n) + torch.rand(n)) / n


@torch.no_grad()
def restore(net, n, steps=50):
    """Draw tablets from nothing: reveal about 1/steps of the cells at a time."""
    tablets, erased = torch.zeros(n, CELLS), torch.ones(n, CELLS, dtype=torch.bool)
    for k in range(steps, 0, -1):
        show = erased & (torch.rand(n, CELLS) < 1 / k)
        drawn = torch.bernoulli(net(tablets, erased).sigmoid())
        tablets = torch.where(show, drawn, tablets)
        erased = erased & ~show
    return tablets


def legible(tablets):
    """Share of the 5 x 5 fields within three cells of a sign of the list."""
    signs = torch.tensor(np.random.default_rng(77).integers(0, 2, (SIGNS, 25))).float()
    fields = tablets.view(-1, 2, 5, 2, 5).transpose(2, 3).reshape(-1, 25)
    return (torch.cdist(fields, signs, p=1).min(1).values <= 3).float().mean().item()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--steps", type=int, default=1500)
    ap.add_argument("--batch", type=int, default=128)
    args = ap.parse_args()
    torch.manual_seed(14)
    rng = np.random.default_rng(14)
    found, unseen = dig(20000, rng), dig(2000, rng)
    net = Restorer()
    smooth = copy.deepcopy(net)
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    sched = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: min(1, (s + 1) / 100) * 0.5 * (1 + math.cos(math.pi * s / args.steps)))
    recent = 0.0
    queue = torch.empty(0, dtype=torch.long)
    for step in range(args.steps):
        if len(queue) < args.batch:
            queue = torch.randperm(len(found))
        rows, queue = queue[:args.batch], queue[args.batch:]
        loss = bound(net, found[rows], spread_times(args.batch)).mean()
        opt.zero_grad()
        (loss / CELLS).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        sched.step()
        with torch.no_grad():
            for s, p in zip(smooth.parameters(), net.parameters()):
                s.lerp_(p, 0.01)
        recent += loss.item() / 250
        if (step + 1) % 250 == 0:
            print(f"step {step + 1}: bound {recent:.1f} nats per tablet")
            recent = 0.0

    rate = found.mean(0)
    apart = F.binary_cross_entropy(rate.expand_as(unseen), unseen, reduction="none").sum(1).mean().item()
    floor = 4 * math.log(SIGNS) - CELLS * (WEAR * math.log(WEAR) + (1 - WEAR) * math.log(1 - WEAR))
    with torch.no_grad():
        final = np.mean([bound(smooth, unseen, spread_times(2000)).mean().item() for _ in range(10)])
    print(f"legible fields among restored tablets: {legible(restore(smooth, 500)):.3f} (dug up: {legible(unseen):.3f})")
    print(f"unseen tablets: bound {final:.1f} nats; independent cells {apart:.1f}; entropy of the source {floor:.1f}")


main()
