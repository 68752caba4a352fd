"""Jockey gaits: recognise a rider from saddle accelerations with a margin contrastive loss on pairs."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

torch.manual_seed(31)
rng = np.random.default_rng(31)

RIDERS, RIDES, LENGTH = 90, 20, 48
TRAIN_RIDERS = 70
MARGIN = 1.0


def ride(harmonics, shifts):
    t = np.linspace(0, 2 * np.pi, LENGTH, endpoint=False) + rng.uniform(0, 2 * np.pi)
    amp = harmonics * rng.normal(1.0, 0.3, size=harmonics.shape)
    wave = sum(a * np.sin((k + 1) * t + s) for k, (a, s) in enumerate(zip(amp, shifts)))
    return wave + 0.5 * rng.normal(size=LENGTH)


signals, rider = [], []
for r in range(RIDERS):
    harmonics, shifts = rng.uniform(0.2, 1.5, 4), rng.uniform(0, 2 * np.pi, 4)
    signals += [ride(harmonics, shifts) for _ in range(RIDES)]
    rider += [r] * RIDES
signals = torch.tensor(np.array(signals), dtype=torch.float32).unsqueeze(1)
rider = torch.tensor(rider)
seen = rider < TRAIN_RIDERS
signals = (signals - signals[seen].mean()) / signals[seen].std()


class GaitNet(nn.Module):
    def __init__(self, width=32, dim=16):
        super().__init__()
        self.c1 = nn.Conv1d(1, width, 7, padding=3, padding_mode="circular")
        self.c2 = nn.Conv1d(width, width, 7, padding=3, padding_mode="circular", stride=2)
        self.c3 = nn.Conv1d(width, width, 7, padding=3, padding_mode="circular", stride=2)
        self.proj = nn.Linear(2 * width, dim)

    def forward(self, x):
        for conv in (self.c1, self.c2, self.c3):
            x = F.relu(conv(x))
        return F.normalize(self.proj(torch.cat([x.mean(-1), x.amax(-1)], -1)), dim=-1)


def sample_pairs(n, who):
    """Half of the pairs share the rider, the other half do not."""
    riders = who.unique()
    a = riders[torch.randint(len(riders), (n,))]
    step = torch.randint(1, len(riders), (n,))
    b = riders[(torch.searchsorted(riders, a) + step) % len(riders)]
    same = torch.arange(n) % 2 == 0
    b = torch.where(same, a, b)
    i, off = torch.randint(RIDES, (n,)), torch.randint(1, RIDES, (n,))
    return a * RIDES + i, b * RIDES + (i + off) % RIDES, same.float()


def contrastive_loss(za, zb, same, margin):
    dist = (za - zb).pow(2).sum(-1).add(1e-8).sqrt()
    return (same * dist.pow(2) + (1 - same) * F.relu(margin - dist).pow(2)).mean()


@torch.no_grad()
def verification(net, n=4000):
    net.eval()
    i, j, same = sample_pairs(n, rider[~seen])
    dist = (net(signals[i]) - net(signals[j])).norm(dim=-1)
    pred = (dist < 0.5 * MARGIN).float()
    accuracy = (pred == same).float().mean().item()
    auc = roc_auc_score(same.numpy(), pred.numpy())
    return accuracy, auc


net = GaitNet()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
STEPS = 500
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=3e-3, total_steps=STEPS)

for step in range(1, STEPS + 1):
    net.train()
    i, j, same = sample_pairs(64, rider[seen])
    loss = contrastive_loss(net(signals[i]), net(signals[j]), same, MARGIN)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 100 == 0:
        print(f"step {step:4d}  loss {loss.item():.4f}")

accuracy, auc = verification(net)
print(f"pairs from new riders: accuracy {accuracy:.3f}")
print(f"verification AUC {auc:.3f}")
