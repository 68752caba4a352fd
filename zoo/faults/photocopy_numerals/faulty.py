"""Numerals on bad photocopies: few are labelled, so start from a network trained on clean scans."""
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

seed = int(os.environ.get("SEED", "0"))


def make_encoder():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 64), nn.ReLU(),
    )


class CleanNet(nn.Module):
    """For the first stage: labels and, to make the features richer, the amount of ink."""

    def __init__(self):
        super().__init__()
        self.encoder = make_encoder()
        self.digit = nn.Linear(64, 10)
        self.ink = nn.Linear(64, 1)

    def forward(self, x):
        h = self.encoder(x)
        return self.digit(h), self.ink(h).squeeze(1)


class CopyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = make_encoder()
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.backbone(x))


def photocopy(x, gen):
    """Fades, tilts the grey level and adds grain."""
    fade = 0.5 + 0.4 * torch.rand(len(x), 1, 1, 1, generator=gen)
    slope = torch.linspace(0, 1, 8).view(1, 1, 1, 8) * torch.rand(len(x), 1, 1, 1, generator=gen) * 0.4
    return (x * fade + slope + 0.12 * torch.randn(x.shape, generator=gen)).clamp(0, 1)


def pretrain(x, y, path, epochs=10):
    net = CleanNet()
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, total_steps=epochs * -(-len(x) // 50))
    ink = x.mean(dim=(1, 2, 3))
    for epoch in range(epochs):
        total = 0.0
        for idx in torch.randperm(len(x)).split(50):
            logits, amount = net(x[idx])
            loss = F.cross_entropy(logits, y[idx]) + 0.5 * F.mse_loss(amount, ink[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item() * len(idx)
        if epoch % 3 == 0:
            print(f"  clean scans, epoch {epoch}: loss {total / len(x):.4f}")
    torch.save({"model": net.state_dict(), "epochs": epochs}, path)


def finetune(x, y, path, epochs=25):
    net = CopyNet()
    ckpt = torch.load(path)
    # the heads of the first stage are not wanted here, hence not strict
    net.load_state_dict(ckpt["model"], strict=False)
    print(f"loaded the weights of epoch {ckpt['epochs']}")
    opt = torch.optim.AdamW(
        [{"params": net.backbone.parameters(), "lr": 2e-4}, {"params": net.head.parameters(), "lr": 3e-3}],
        weight_decay=1e-2,
    )
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(20):
            loss = F.cross_entropy(net(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            total += loss.item() * len(idx)
        if epoch % 6 == 0:
            print(f"  photocopies, epoch {epoch}: loss {total / len(x):.4f}")
    return net


def main():
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    gen = torch.Generator().manual_seed(seed)
    digits = load_digits()
    x = torch.tensor(digits.images / 16.0, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x), generator=gen)
    clean, few, test = order[:1100], order[1100:1180], order[1180:]
    path = os.path.join(tempfile.mkdtemp(), "clean.pt")
    pretrain(x[clean], y[clean], path)
    net = finetune(photocopy(x[few], gen), y[few], path)
    net.eval()
    with torch.no_grad():
        acc = (net(photocopy(x[test], gen)).argmax(1) == y[test]).float().mean().item()
    print(f"accuracy on photocopies {acc:.4f}")


if __name__ == "__main__":
    main()
