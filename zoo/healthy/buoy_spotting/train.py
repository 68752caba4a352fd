"""Buoys on radar: 24x24 sweeps with zero to four buoys, find centres.  A one-stage detector in the CenterNet
manner: heatmap with Gaussian-softened focal loss (targets below 1 around each centre on purpose), and an
offset head trained only at the centres.  Heatmap bias starts at the prior."""
import math
import os

import torch
import torch.nn.functional as F
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
S, G = 24, 12                       # pixels, cells
YY, XX = torch.meshgrid(torch.arange(S) + 0.5, torch.arange(S) + 0.5, indexing="ij")
CY, CX = torch.meshgrid(torch.arange(G) + 0.5, torch.arange(G) + 0.5, indexing="ij")


def sweep():
    """One radar picture with its buoys' centres (in pixels)."""
    img = 0.15 * torch.randn(S, S)
    img += 0.3 * torch.sin(XX * torch.rand(1) + 6 * torch.rand(1))            # swell
    pts = []
    for _ in range(int(torch.randint(0, 5, (1,)))):
        for _try in range(10):
            p = torch.rand(2) * (S - 4) + 2
            if all((p - q).norm() > 5 for q in pts):
                pts.append(p)
                img += (0.9 + 0.6 * torch.rand(1)) * torch.exp(-((YY - p[0]) ** 2 + (XX - p[1]) ** 2) / 3.0)
                break
    heat, off, at = torch.zeros(G, G), torch.zeros(2, G, G), torch.zeros(G, G, dtype=torch.bool)
    for p in pts:
        c = (p / 2).long()
        d2 = (CY - CY[c[0], 0]) ** 2 + (CX - CX[0, c[1]]) ** 2
        heat = torch.maximum(heat, torch.exp(-d2 / 0.8))
        at[c[0], c[1]] = True
        off[:, c[0], c[1]] = p / 2 - c - 0.5
    return img, heat, off, at, pts


def collection(n):
    items = [sweep() for _ in range(n)]
    img, heat, off, at = (torch.stack(v) for v in list(zip(*items))[:4])
    return img.unsqueeze(1), heat, off, at, [i[4] for i in items]


class Spotter(nn.Module):
    def __init__(self, c=24):
        super().__init__()
        blk = lambda i, o, s=1: nn.Sequential(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))
        self.body = nn.Sequential(blk(1, c), blk(c, c, 2), blk(c, c), blk(c, c))
        self.heat, self.off = nn.Conv2d(c, 1, 1), nn.Conv2d(c, 2, 1)
        nn.init.constant_(self.heat.bias, -math.log(1 / 0.02 - 1))

    def forward(self, x):
        h = self.body(x)
        return self.heat(h).squeeze(1), self.off(h)


def focal(logit, heat, at):
    """Sum over cells, divided by the number of buoys in the batch (at least one)."""
    lp, ln = F.logsigmoid(logit), F.logsigmoid(-logit)
    p = logit.sigmoid()
    pos = -((1 - p) ** 2 * lp)[at].sum()
    neg = -((1 - heat) ** 4 * p ** 2 * ln)[~at].sum()
    return (pos + neg) / at.sum().clamp(min=1)


@torch.no_grad()
def f1(model, data, thr=0.4):
    model.eval()
    logit, off = model(data[0])
    p = logit.sigmoid()
    peak = (F.max_pool2d(p[:, None], 3, 1, 1).squeeze(1) == p) & (p > thr)
    tp = fp = fn = 0
    for k, truth in enumerate(data[4]):
        cells = peak[k].nonzero()
        order = p[k][peak[k]].argsort(descending=True)
        left = list(truth)
        for c in cells[order]:
            where = (c + 0.5 + off[k, :, c[0], c[1]]) * 2
            hit = [j for j, q in enumerate(left) if (where - q).norm() < 1.0]
            if hit:
                left.pop(hit[0]); tp += 1
            else:
                fp += 1
        fn += len(left)
    return 2 * tp / (2 * tp + fp + fn)


train, test = collection(900), collection(250)
model = Spotter()
opt = torch.optim.Adam(model.parameters(), lr=6e-3)
EPOCHS, B = 8, 30
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 6e-3, epochs=EPOCHS, steps_per_epoch=900 // B)
for ep in range(1, EPOCHS + 1):
    model.train()
    a = b = 0.0
    for i in torch.randperm(900).split(B):
        img, heat, off, at = (t[i] for t in train[:4])
        logit, guess = model(img)
        l_heat = focal(logit, heat, at)
        mask = at[:, None].expand_as(off)
        l_off = F.l1_loss(guess[mask], off[mask])
        opt.zero_grad()
        (l_heat + l_off).backward()
        opt.step()
        sched.step()
        a, b = a + l_heat.item(), b + l_off.item()
    if ep % 2 == 0:
        print(f"epoch {ep} focal {a * B / 900:.3f} offset {b * B / 900:.3f}")
print(f"F1 within one pixel on new sweeps {f1(model, test):.3f}")
