"""Makers' marks under porcelain: 40 workshops are known, new ones keep turning up.  Triplets with semi-hard
mining teach a distance; it is judged on 20 workshops never trained on.

Batches are P workshops x K marks.  As the space sorts itself out more and more batches hold no offending
triplet: their loss is exactly zero and the step is skipped.
"""
import os
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(int(os.environ.get("SEED", "0")))
SIDE, P, K, MARGIN = 16, 8, 4, 0.2
KNOWN, NEW = 40, 20


def workshop_template():
    """Three strokes on a 16x16 plate, as control points."""
    return torch.rand(3, 3, 2) * 11 + 2.5


YX = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij"), -1).float() + 0.5
TT = torch.linspace(0, 1, 8)[:, None]


def stamp(template, n):
    """n impressions: control points wobble, the stamp is shifted, the glaze is uneven."""
    c = template[None] + 0.5 * torch.randn(n, 3, 3, 2) + 0.7 * torch.randn(n, 1, 1, 2)
    a, b, d = c[:, :, None, 0], c[:, :, None, 1], c[:, :, None, 2]
    pts = (1 - TT) ** 2 * a + 2 * TT * (1 - TT) * b + TT ** 2 * d              # quadratic strokes
    d2 = ((YX[None, None, :, :] - pts.reshape(n, 24, 1, 1, 2)) ** 2).sum(-1)
    img = torch.exp(-d2.min(1).values / 0.8) * (0.7 + 0.6 * torch.rand(n, 1, 1))
    return (img + 0.12 * torch.randn(n, SIDE, SIDE))[:, None]


templates = [workshop_template() for _ in range(KNOWN + NEW)]
known = torch.stack([stamp(t, 24) for t in templates[:KNOWN]])               # workshop, mark, 1, 16, 16
fresh = torch.stack([stamp(t, 20) for t in templates[KNOWN:]])


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(4, o), nn.ReLU(), nn.MaxPool2d(2))


class Eye(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(block(1, 16), block(16, 32), block(32, 64), nn.Flatten(), nn.Linear(256, 48))

    def forward(self, x):
        return F.normalize(self.f(x), dim=1)


def semi_hard(z, who):
    """For every anchor-positive pair, the nearest negative that is farther than the positive, within the margin."""
    d = torch.cdist(z, z).pow(2)
    same = who[:, None] == who[None]
    pos = same & ~torch.eye(len(z), dtype=torch.bool)
    a, p = pos.nonzero(as_tuple=True)
    dp = d[a, p][:, None]
    ok = ~same[a] & (d[a] > dp) & (d[a] < dp + MARGIN)
    has = ok.any(1)
    dn = d[a].masked_fill(~ok, float("inf")).min(1).values
    return (dp.squeeze(1)[has] - dn[has] + MARGIN), int(has.sum())


@torch.no_grad()
def recall_at_1(eye):
    z = eye(fresh.flatten(0, 1))
    who = torch.arange(NEW).repeat_interleave(20)
    sim = z @ z.T
    sim.fill_diagonal_(-2)
    return (who[sim.argmax(1)] == who).float().mean().item()


eye = Eye()
opt = torch.optim.Adam(eye.parameters(), lr=1.5e-3)
STEPS, skipped, running, found = 700, 0, 0.0, 0
print(f"untrained recall@1 on new workshops {recall_at_1(eye):.3f}")
for step in range(1, STEPS + 1):
    shops = torch.randperm(KNOWN)[:P]
    marks = torch.stack([known[s, torch.randperm(24)[:K]] for s in shops]).flatten(0, 1)
    hinge, n = semi_hard(eye(marks), shops.repeat_interleave(K))
    if n == 0:
        skipped += 1
    else:
        loss = hinge.mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        running, found = running + loss.item(), found + n
    if step % 140 == 0:
        print(f"step {step} triplets per batch {found / 140:.1f} loss {running / 140:.4f} batches skipped so far {skipped}")
        running, found = 0.0, 0
print(f"recall@1 on {NEW} new workshops {recall_at_1(eye):.3f}")
