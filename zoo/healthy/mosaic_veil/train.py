# Masked (absorbing-state) discrete diffusion: little mosaics of four tile shades are unveiled from a blank veil.
# The training loss is the continuous-time bound: cross-entropy on veiled tiles, weighted by 1/t.
import math
from copy import deepcopy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(0)
SHADES, TILES, VEIL = 4, 64, 4
pictures, names = load_digits(return_X_y=True)
tiles = torch.from_numpy((pictures // 4.25).astype("int64"))            # 0..16 -> four shades
train, held, train_names, held_names = train_test_split(tiles, names, test_size=0.25, stratify=names, random_state=0)


class Residual(nn.Module):
    def __init__(self, d, p):
        super().__init__()
        self.norm, self.up, self.down, self.drop = nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.Linear(2 * d, d), nn.Dropout(p)

    def forward(self, h):
        return h + self.drop(self.down(F.gelu(self.up(self.norm(h)))))


class Unveiler(nn.Module):
    """Sees all tiles at once (the veil is a fifth shade) and guesses every one; no time input is needed."""

    def __init__(self, d=128, p=0.2):
        super().__init__()
        self.enter = nn.Linear(TILES * (SHADES + 1), d)
        self.blocks = nn.Sequential(Residual(d, p), Residual(d, p))
        self.norm, self.leave = nn.LayerNorm(d), nn.Linear(d, TILES * SHADES)

    def forward(self, x):
        h = self.enter(F.one_hot(x, SHADES + 1).float().flatten(1) * 2)
        return self.leave(self.norm(self.blocks(h))).view(-1, TILES, SHADES)


def veil(x, t):
    hidden = torch.rand(x.shape) < t[:, None]
    return torch.where(hidden, VEIL, x), hidden


def bound(model, x):
    """Nats per picture; the times are spread evenly over (0, 1] to keep its variance bearable."""
    t = (torch.rand(1) + torch.arange(len(x)) / len(x)) % 1.0
    t = t[torch.randperm(len(x))].clamp(min=1e-3)
    veiled, hidden = veil(x, t)
    ce = F.cross_entropy(model(veiled).transpose(1, 2), x, reduction="none")
    return ((ce * hidden).sum(1) / t).mean()


@torch.no_grad()
def bits_per_tile(model, x, rounds=10):
    model.eval()
    return sum(bound(model, x).item() for _ in range(rounds)) / rounds / TILES / math.log(2)


@torch.no_grad()
def unveil(model, n):
    """Ancestral sampling: tiles are revealed one at a time in a random order of their own."""
    model.eval()
    x = torch.full((n, TILES), VEIL)
    order = torch.rand(n, TILES).argsort(1)
    for k in range(TILES):
        at = order[:, k]
        p = model(x)[torch.arange(n), at].softmax(1)
        x[torch.arange(n), at] = torch.multinomial(p, 1).squeeze(1)
    return x


model = Unveiler()
average = deepcopy(model).requires_grad_(False)
STEPS, BATCH = 1000, 128
opt = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0.05)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1.5e-3, total_steps=STEPS, pct_start=0.05)
queue, window = torch.empty(0, dtype=torch.long), []
for step in range(1, STEPS + 1):
    if len(queue) < BATCH:
        queue = torch.randperm(len(train))
    batch, queue = train[queue[:BATCH]], queue[BATCH:]
    model.train()
    loss = bound(model, batch) / TILES
    opt.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), model.parameters()):
            slow.lerp_(fast, 1 - min(0.995, step / (step + 10)))
    window.append(loss.item() / math.log(2))
    if step % 250 == 0:
        print(f"step {step}  train {sum(window) / len(window):.3f} bits/tile  held out {bits_per_tile(average, held, 5):.3f}")
        window = []

counts = F.one_hot(train, SHADES).float().sum(0) + 1
alone = (counts / counts.sum(1, keepdim=True)).log2()
independent = -alone.unsqueeze(0).expand(len(held), -1, -1).gather(2, held.unsqueeze(2)).mean().item()
judge = LogisticRegression(max_iter=300, C=0.05).fit(train.numpy(), train_names)
sure = lambda x: (judge.predict_proba(x.numpy()).max(1) > 0.8).mean()
noise = torch.stack([train[torch.randint(len(train), (400,)), j] for j in range(TILES)], 1)
print(f"judge sure of a digit: held out {sure(held):.2f}, samples {sure(unveil(average, 400)):.2f}, independent tiles {sure(noise):.2f}")
print(f"held-out bound {bits_per_tile(average, held):.3f} bits per tile, independent tiles {independent:.3f}")
