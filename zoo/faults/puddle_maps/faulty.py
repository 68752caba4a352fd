# U-Net: find the puddles in a drawn yard
import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED); np.random.seed(SEED); torch.manual_seed(SEED)

CFG = dict(size=32, n_train=240, n_test=80, batch_size=16, lr=2e-3, epochs=5, width=8)


def draw_yard(rng, size):
    """A grey yard with bricks (squares) and one to three puddles (ellipses)."""
    yy, xx = np.mgrid[:size, :size]
    img = 0.5 + 0.12 * rng.standard_normal((3, size, size))
    img += 0.15 * np.sin(xx / rng.uniform(2, 5) + rng.uniform(0, 6))
    mask = np.zeros((size, size), dtype=np.float32)
    for _ in range(rng.integers(1, 4)):
        x, y, s = rng.integers(2, size - 6), rng.integers(2, size - 6), rng.integers(3, 6)
        img[:, y:y + s, x:x + s] += rng.uniform(-0.4, 0.4)
    for _ in range(rng.integers(1, 4)):
        cx, cy = rng.uniform(5, size - 5, 2)
        a, b = rng.uniform(2, 5.5, 2)
        inside = ((xx - cx) / a) ** 2 + ((yy - cy) / b) ** 2 < 1
        mask[inside] = 1
        shade = rng.uniform(0.15, 0.35)
        img[2][inside] += shade
        img[0][inside] -= shade
    return img.astype(np.float32), mask


def make_set(n, seed):
    rng = np.random.default_rng(seed)
    pairs = [draw_yard(rng, CFG["size"]) for _ in range(n)]
    images = torch.from_numpy(np.stack([p[0] for p in pairs]))
    masks = torch.from_numpy(np.stack([p[1] for p in pairs])).unsqueeze(1)
    return TensorDataset(images, masks)


def double_conv(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
        nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.down1 = double_conv(3, w)
        self.down2 = double_conv(w, 2 * w)
        self.bottom = double_conv(2 * w, 4 * w)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * w, 2 * w, 2, stride=2)
        self.dec2 = double_conv(4 * w, 2 * w)
        self.up1 = nn.ConvTranspose2d(2 * w, w, 2, stride=2)
        self.dec1 = double_conv(2 * w, w)
        self.out = nn.Conv2d(w, 1, 1)

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(self.pool(d1))
        b = self.bottom(self.pool(d2))
        u2 = self.dec2(torch.cat([self.up2(b), d2], dim=1))
        u1 = self.dec1(torch.cat([self.up1(u2), d1], dim=1))
        return torch.sigmoid(self.out(u1))


def dice_loss(logits, target, eps=1.0):
    prob = torch.sigmoid(logits)
    inter = (prob * target).sum(dim=(1, 2, 3))
    total = prob.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return 1 - ((2 * inter + eps) / (total + eps)).mean()


@torch.no_grad()
def mean_iou(net, loader):
    net.eval()
    scores = []
    for x, m in loader:
        pred = torch.sigmoid(net(x)) > 0.5
        truth = m > 0.5
        inter = (pred & truth).sum(dim=(1, 2, 3)).float()
        union = (pred | truth).sum(dim=(1, 2, 3)).float()
        scores.append((inter + 1e-6) / (union + 1e-6))
    return torch.cat(scores).mean().item()


train_loader = DataLoader(make_set(CFG["n_train"], SEED), batch_size=CFG["batch_size"], shuffle=True)
test_loader = DataLoader(make_set(CFG["n_test"], SEED + 10_000), batch_size=40)

net = UNet(CFG["width"])
bce = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=CFG["lr"])
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=CFG["epochs"])

for epoch in range(CFG["epochs"]):
    net.train()
    losses = []
    for x, m in train_loader:
        if random.random() < 0.5:
            x, m = x.flip(-1), m.flip(-1)
        optimizer.zero_grad()
        logits = net(x)
        loss = bce(logits, m) + dice_loss(logits, m)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    print(f"[{epoch + 1}/{CFG['epochs']}] loss {np.mean(losses):.3f}  IoU {mean_iou(net, test_loader):.3f}")

print("test IoU", round(mean_iou(net, test_loader), 4))
