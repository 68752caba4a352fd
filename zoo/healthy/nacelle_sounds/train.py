# Find the record of the control system that belongs to a sound clip of the nacelle (and the other way round).
# The embedding of the control records is given by the turbine maker and stays as it is; the sound side learns to meet it.
import math
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)
torch.set_num_threads(1)

CONF = dict(n_train=3000, n_test=400, clip=128, dim=32, batch=100, epochs=16, lr=2e-3)


def events(n):
    """(control record, sound clip) of n moments"""
    speed = np.random.uniform(0.5, 1.5, n)
    torque = np.random.uniform(-1, 1, n)
    pitch = np.random.uniform(-1, 1, n)
    yaw = np.random.uniform(-1, 1, n)
    record = np.stack([speed - 1, torque, pitch, yaw], 1) * [2, 1, 1, 1]
    t = np.arange(CONF["clip"])[None, :] / CONF["clip"]
    phase = np.random.uniform(0, 2 * np.pi, (n, 3))
    sound = (
        np.sin(2 * np.pi * 6 * speed[:, None] * t + phase[:, :1])
        + (1 + torque[:, None]) * np.sin(2 * np.pi * 20 * t + phase[:, 1:2])
        + (1 + pitch[:, None]) * np.sin(2 * np.pi * 33 * t + phase[:, 2:])
        + yaw[:, None] * t * 2
        + np.random.normal(0, 0.2, (n, CONF["clip"]))
    )
    return torch.tensor(record, dtype=torch.float32), torch.tensor(sound, dtype=torch.float32)


class MakerEmbedding(nn.Module):
    """Weights are fixed (random Fourier features of the record)."""

    def __init__(self, n_in, dim):
        super().__init__()
        self.proj = nn.Linear(n_in, dim)
        nn.init.normal_(self.proj.weight, std=0.8)
        nn.init.uniform_(self.proj.bias, 0, 2 * math.pi)

    def forward(self, record):
        return F.normalize(torch.cos(self.proj(record)), dim=1)


class SoundTower(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(CONF["clip"] // 2 + 1 + 1, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, dim))
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def forward(self, sound):
        spectrum = torch.fft.rfft(sound).abs() / CONF["clip"] * 4
        slope = sound[:, -32:].mean(1, keepdim=True) - sound[:, :32].mean(1, keepdim=True)
        return F.normalize(self.net(torch.cat([spectrum, slope], 1)), dim=1)


records, sounds = events(CONF["n_train"])
records_test, sounds_test = events(CONF["n_test"])

maker = MakerEmbedding(records.shape[1], CONF["dim"]).eval()
for p in maker.parameters():
    p.requires_grad_(False)
tower = SoundTower(CONF["dim"])
optimizer = torch.optim.AdamW(tower.parameters(), lr=CONF["lr"])
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=3 * CONF["lr"], total_steps=CONF["epochs"] * (CONF["n_train"] // CONF["batch"])
)


@torch.no_grad()
def retrieval():
    tower.eval()
    rank = (tower(sounds_test) @ maker(records_test).t()).argsort(1, descending=True)
    place = (rank == torch.arange(len(rank))[:, None]).float().argmax(1)
    tower.train()
    return (place == 0).float().mean().item(), (place < 10).float().mean().item()


labels = torch.arange(CONF["batch"])
for epoch in range(CONF["epochs"]):
    mean_loss = 0.0
    parts = torch.randperm(CONF["n_train"]).split(CONF["batch"])
    for idx in parts:
        with torch.no_grad():
            anchor = maker(records[idx])
        logits = tower.log_scale.exp() * tower(sounds[idx]) @ anchor.t()
        loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        mean_loss += loss.item() / len(parts)
    if epoch % 3 == 0:
        top1, top10 = retrieval()
        print(f"epoch {epoch:2d}  loss {mean_loss:.4f} (guessing {math.log(CONF['batch']):.2f})  top1 {top1:.3f}  top10 {top10:.3f}")

top1, top10 = retrieval()
print(f"scale {tower.log_scale.exp().item():.1f}  top1 {top1:.4f}")
print(f"retrieved within ten of {CONF['n_test']}: {top10:.4f}")
