# Toll-board numerals (8x8 scans), bf16 autocast, accumulated batches, averaged weights.
import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2024)

EPOCHS, MICRO, ACCUM = 28, 32, 2
PEAK_LR, WARMUP, DECAY = 3e-3, 20, 0.98

images, labels = load_digits(return_X_y=True)
images = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8)
labels = torch.tensor(labels)
rest, test_idx = train_test_split(range(len(labels)), test_size=360, stratify=labels, random_state=0)
train_idx, val_idx = train_test_split(rest, test_size=180, stratify=labels[rest], random_state=0)
mean, std = images[train_idx].mean(), images[train_idx].std()
images = (images - mean) / std
ink_free = (0.0 - mean) / std

train_loader = DataLoader(TensorDataset(images[train_idx], labels[train_idx]), batch_size=MICRO, shuffle=True)


class Block(nn.Module):
    def __init__(self, width, drop=0.1):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        return x + self.down(self.drop(F.gelu(self.up(self.norm(x)))))


class TollNet(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.embed = nn.Sequential(nn.Flatten(), nn.Linear(64, width))
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        return self.out(self.norm(self.blocks(self.embed(x))))


model = TollNet()
averaged = copy.deepcopy(model).requires_grad_(False)


def scuff(batch):
    """Random exposure and a little scanner grain, tile by tile."""
    exposure = 1 + 0.15 * torch.randn(len(batch), 1, 1, 1)
    return (batch - ink_free) * exposure + ink_free + 0.2 * torch.randn_like(batch)


def accuracy(net, idx):
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(images[idx])
    return (logits.argmax(1) == labels[idx]).float().mean().item()


updates_per_epoch = math.ceil(len(train_loader) / ACCUM)
total_updates = EPOCHS * updates_per_epoch
optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, weight_decay=0.02)
scheduler = torch.optim.lr_scheduler.LambdaLR(
    optimizer,
    lambda s: (s + 1) / WARMUP if s < WARMUP else 0.5 * (1 + math.cos(math.pi * (s - WARMUP) / (total_updates - WARMUP))),
)

for epoch in range(EPOCHS):
    model.train()
    running, updates = 0.0, 0
    batches = list(train_loader)
    for start in range(0, len(batches), ACCUM):
        group = batches[start:start + ACCUM]
        size = sum(len(y) for _, y in group)
        optimizer.zero_grad()
        for x, y in group:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(scuff(x))
            loss = F.cross_entropy(logits.float(), y, reduction="sum") / size
            loss.backward()
            running += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        scheduler.step()
        updates += 1
        with torch.no_grad():
            for slow, fast in zip(averaged.parameters(), model.parameters()):
                slow.lerp_(fast, 1 - DECAY)
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1:2d} loss {running / updates:.4f} val {accuracy(model, val_idx):.4f} "
              f"val averaged {accuracy(averaged, val_idx):.4f}")

print(f"test accuracy of the averaged weights: {accuracy(averaged, test_idx):.4f}")
