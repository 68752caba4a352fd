# Re-identify otters by their whisker-spot pattern: CNN embedding + ArcFace, retrieval MAP@5 on held-out photos.
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

SEED, N_IDS, SIZE = 17, 36, 32
random.seed(SEED), np.random.seed(SEED), torch.manual_seed(SEED)


def photo(spots, rng):
    """Render Gaussian spots after a small rotation / shift / zoom, with light gradient and grain."""
    a, zoom = rng.uniform(-0.35, 0.35), rng.uniform(0.9, 1.1)
    rot = zoom * np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    pts = spots @ rot.T + rng.uniform(-0.08, 0.08, 2) + rng.normal(0, 0.02, spots.shape)
    seen = pts[rng.random(len(pts)) > 0.12]                      # a spot may hide behind a whisker
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE)), -1)
    d2 = ((grid[:, :, None, :] - seen) ** 2).sum(-1)
    img = np.exp(-d2 / 0.006).max(-1) * rng.uniform(0.7, 1.2)
    img += rng.uniform(-0.3, 0.3) * grid[..., 0] + rng.uniform(-0.3, 0.3) * grid[..., 1]
    return (img + rng.normal(0, 0.18, img.shape)).astype(np.float32)


rng = np.random.default_rng(SEED)
otters = rng.uniform(-0.75, 0.75, (N_IDS, 9, 2))


class Photos(Dataset):
    def __init__(self, per_id):
        self.x = torch.from_numpy(np.stack([photo(o, rng) for o in otters for _ in range(per_id)]))[:, None]
        self.y = torch.arange(N_IDS).repeat_interleave(per_id)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, idx):                                   # called with whole index lists
        return self.x[idx], self.y[idx]


train, query = Photos(28), Photos(8)
MEAN, STD = train.x.mean(), train.x.std()
for ds in (train, query):
    ds.x = (ds.x - MEAN) / STD
loader = DataLoader(train, sampler=BatchSampler(RandomSampler(train), 48, drop_last=True), batch_size=None)


class ArcHead(nn.Module):
    def __init__(self, dim, classes, scale=16.0, margin=0.25):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(classes, dim)))
        self.scale, self.margin = scale, margin

    def forward(self, emb, label):
        cos = F.linear(F.normalize(emb), F.normalize(self.weight)).clamp(-1 + 1e-6, 1 - 1e-6)
        theta = torch.acos(cos)
        target = torch.cos((theta + self.margin).clamp(max=math.pi))
        hot = F.one_hot(label, cos.shape[1]).bool()
        return self.scale * torch.where(hot, target, cos), cos


def conv(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.PReLU(cout))


backbone = nn.Sequential(conv(1, 12), conv(12, 32, 2), conv(32, 64, 2), conv(64, 64, 2),
                         nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 16, 64, bias=False), nn.BatchNorm1d(64))
head = ArcHead(64, N_IDS)
params = list(backbone.parameters()) + list(head.parameters())
EPOCHS, WARM = 9, 20
optimizer = torch.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
total = EPOCHS * len(loader)
scheduler = SequentialLR(optimizer, [LinearLR(optimizer, 0.1, total_iters=WARM),
                                     CosineAnnealingLR(optimizer, total - WARM, eta_min=1e-4)], [WARM])


@torch.no_grad()
def embed(ds):
    backbone.eval()
    return F.normalize(torch.cat([backbone(chunk) for chunk in ds.x.split(256)]))


def map_at_5():
    sims = embed(query) @ embed(train).T
    score, top1 = 0.0, 0.0
    for row, truth in zip(sims, query.y):
        ranked = []
        for j in row.argsort(descending=True).tolist():           # best five distinct otters
            if (who := int(train.y[j])) not in ranked:
                ranked.append(who)
            if len(ranked) == 5:
                break
        if int(truth) in ranked:
            score += 1 / (ranked.index(int(truth)) + 1)
            top1 += ranked[0] == int(truth)
    return score / len(query), top1 / len(query)


print("untrained  MAP@5 %.3f  top-1 %.3f" % map_at_5())
for epoch in range(EPOCHS):
    backbone.train()
    losses, hits = [], []
    for x, y in loader:
        logits, cos = head(backbone(x), y)
        loss = F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 5.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        hits.append((cos.argmax(1) == y).float().mean().item())
    print(f"epoch {epoch:2d}  arc loss {np.mean(losses):.3f}  plain acc {np.mean(hits):.3f}")
print("test  MAP@5 %.3f  top-1 %.3f  (guess %.3f)" % (*map_at_5(), 1 / N_IDS))
