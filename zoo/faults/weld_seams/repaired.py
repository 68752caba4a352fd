"""Weld line: take the encoder of the general surface model, train a new head on the few labelled seams."""
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)
torch.set_num_threads(1)

CFG = {
    "size": 20,
    "surface": {"n": 2600, "epochs": 7, "batch": 64, "lr": 2e-3},
    "seams": {"per_class": 12, "steps": 300, "lr": 1e-2, "n_test": 800},
}
SURFACE_KINDS = ["scratch", "dent", "ring", "cross", "double", "wave"]
SEAM_KINDS = ["ring", "cross", "double", "wave"]


def draw(kind, rng, size):
    yy, xx = np.mgrid[:size, :size].astype(float)
    cy, cx = rng.uniform(7, size - 7, 2)
    a = rng.uniform(0, np.pi)
    u = (xx - cx) * np.cos(a) + (yy - cy) * np.sin(a)
    v = -(xx - cx) * np.sin(a) + (yy - cy) * np.cos(a)
    r = np.hypot(u, v)
    if kind == "scratch":
        img = np.exp(-v ** 2) * (np.abs(u) < 6)
    elif kind == "dent":
        img = np.exp(-(r / 2.6) ** 2)
    elif kind == "ring":
        img = np.exp(-(r - 3.6) ** 2)
    elif kind == "cross":
        img = np.maximum(np.exp(-v ** 2) * (np.abs(u) < 5), np.exp(-u ** 2) * (np.abs(v) < 5))
    elif kind == "double":
        img = np.exp(-((u - 3.2) ** 2 + v ** 2) / 3) + np.exp(-((u + 3.2) ** 2 + v ** 2) / 3)
    else:
        img = np.exp(-(v - 2.2 * np.sin(u)) ** 2) * (np.abs(u) < 6)
    return img * rng.uniform(0.8, 1.3)


def make_set(kinds, n, rng, noise, shading=0.0):
    size = CFG["size"]
    y = np.arange(n) % len(kinds)
    ramp = np.linspace(-1, 1, size)[None, :]
    x = np.stack([draw(kinds[k], rng, size) + shading * rng.normal() * ramp for k in y])
    x = x + rng.normal(0, noise, x.shape)
    return torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(y)


class Encoder(nn.Module):
    out_dim = 32

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5, padding=2)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.conv3 = nn.Conv2d(24, self.out_dim, 3, padding=1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return F.relu(self.conv3(x)).amax((2, 3))


class SurfaceModel(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.encoder = Encoder()
        self.classifier = nn.Linear(Encoder.out_dim, n_classes)

    def forward(self, x):
        return self.classifier(self.encoder(x))


class SeamModel(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(Encoder.out_dim, n_classes)

    def forward(self, x):
        return self.head(self.encoder(x))


def train_surface_model(path, rng):
    cfg = CFG["surface"]
    x, y = make_set(SURFACE_KINDS, cfg["n"], rng, 0.25)
    model = SurfaceModel(len(SURFACE_KINDS))
    opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    for epoch in range(cfg["epochs"]):
        total, hits = 0.0, 0
        for idx in torch.randperm(len(x)).split(cfg["batch"]):
            logits = model(x[idx])
            loss = F.cross_entropy(logits, y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
            hits += (logits.argmax(1) == y[idx]).sum().item()
        print(f"[surface] epoch {epoch} loss {total / len(x):.4f} acc {hits / len(x):.3f}")
    torch.save(model.state_dict(), path)


def load_encoder(model, path):
    state = torch.load(path)
    # the classes of the surface model are not ours, so its classifier stays behind
    state = {k.removeprefix("encoder."): v for k, v in state.items() if not k.startswith("classifier")}
    model.encoder.load_state_dict(state, strict=False)
    print(f"encoder: {len(state)} tensors from {os.path.basename(path)}")


def train_seam_model(path, rng):
    cfg = CFG["seams"]
    n_classes = len(SEAM_KINDS)
    x, y = make_set(SEAM_KINDS, cfg["per_class"] * n_classes, rng, 0.3, shading=0.3)
    x_test, y_test = make_set(SEAM_KINDS, cfg["n_test"], rng, 0.3, shading=0.3)
    model = SeamModel(n_classes)
    load_encoder(model, path)
    for p in model.encoder.parameters():
        p.requires_grad_(False)  # 48 seams are too few for the convolutions
    opt = torch.optim.Adam(model.head.parameters(), lr=cfg["lr"])
    for step in range(cfg["steps"]):
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(f"[seams] step {step} loss {loss.item():.4f}")
    with torch.no_grad():
        acc = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"seam test accuracy {acc:.4f}")


if __name__ == "__main__":
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        ckpt = os.path.join(folder, "surface.pt")
        train_surface_model(ckpt, rng)
        train_seam_model(ckpt, rng)
