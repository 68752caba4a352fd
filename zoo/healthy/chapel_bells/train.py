# Learn bell voices by comparison (SimSiam), then read them off with nearest neighbours.
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

BELLS, POINTS = 6, 48
PARTIALS = torch.rand(BELLS, 4) * 10 + 2


def ring(n):
    bell = torch.randint(0, BELLS, (n,))
    t = torch.linspace(0, 1, POINTS)
    amp = torch.tensor([1.0, 0.7, 0.5, 0.3])
    wave = (amp[None, :, None] * torch.sin(2 * np.pi * PARTIALS[bell][:, :, None] * t)).sum(1)
    return wave, bell


def strike(wave):
    """One hearing of a bell: another loudness, another microphone hiss, a piece missing."""
    out = wave * (0.7 + 0.6 * torch.rand(len(wave), 1)) + 0.4 * torch.randn_like(wave)
    start = random.randrange(POINTS - 8)
    out[:, start:start + 8] = 0
    return out


encoder = nn.Sequential(nn.Linear(POINTS, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 64), nn.BatchNorm1d(64), nn.ReLU(),
                        nn.Linear(64, 32), nn.BatchNorm1d(32, affine=False))
predictor = nn.Sequential(nn.Linear(32, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 32))
opt = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.05, momentum=0.9, weight_decay=1e-4)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 30)


def distance(p, z):
    # the target side is held still; without that both collapse to a point
    return -F.cosine_similarity(p, z.detach(), dim=-1).mean()


@torch.no_grad()
def neighbours(k=5):
    encoder.eval()
    bank, names = F.normalize(encoder(strike(reference)), dim=1), reference_y
    query = F.normalize(encoder(strike(held)), dim=1)
    votes = names[(query @ bank.T).topk(k, dim=1).indices]
    return (votes.mode(dim=1).values == held_y).float().mean().item()


waves, _ = ring(1500)
reference, reference_y = ring(300)
held, held_y = ring(500)
print(f"before training: {neighbours():.3f}")
for epoch in range(30):
    encoder.train()
    predictor.train()
    total, spread = 0.0, 0.0
    parts = torch.randperm(len(waves)).split(100)
    for rows in parts:
        z1, z2 = encoder(strike(waves[rows])), encoder(strike(waves[rows]))
        loss = 0.5 * distance(predictor(z1), z2) + 0.5 * distance(predictor(z2), z1)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() / len(parts)
        spread += F.normalize(z1.detach(), dim=1).std(0).mean().item() / len(parts)
    sched.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1:2d} loss {total:.3f} spread {spread:.3f} neighbours {neighbours():.3f}")
print(f"nearest-neighbour accuracy {neighbours():.4f}")
