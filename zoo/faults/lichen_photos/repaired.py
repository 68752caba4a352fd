# Segment lichen patches on photos of rock. The photos are drawn here (24 x 24, three channels).
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

SIZE = 24
EPOCHS = 14
BATCH = 20


def draw_photo(rng):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE]
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    for _ in range(rng.integers(1, 4)):
        cy, cx = rng.uniform(4, SIZE - 4, size=2)
        ry, rx = rng.uniform(2.5, 6, size=2)
        mask |= ((yy - cy) / ry) ** 2 + ((xx - cx) / rx) ** 2 < 1
    rock = np.array([0.5, 0.48, 0.46]) + rng.normal(0, 0.05, 3)
    lichen = np.array([0.62, 0.64, 0.38]) + rng.normal(0, 0.05, 3)
    img = np.where(mask[..., None], lichen, rock) + rng.normal(0, 0.12, (SIZE, SIZE, 3))
    return img.transpose(2, 0, 1).astype(np.float32), mask[None].astype(np.float32)


def make_set(n, rng):
    pairs = [draw_photo(rng) for _ in range(n)]
    imgs = torch.from_numpy(np.stack([p[0] for p in pairs]))
    masks = torch.from_numpy(np.stack([p[1] for p in pairs]))
    return (imgs - 0.5) / 0.15, masks


def block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class MiniUNet(nn.Module):
    def __init__(self, width=10):
        super().__init__()
        self.down1 = block(3, width)
        self.down2 = block(width, 2 * width)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.merge = block(3 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        return self.head(self.merge(torch.cat([a, self.up(b)], dim=1)))


class DiceLoss(nn.Module):
    """1 - Dice between the predicted patch and the annotated patch, averaged over the batch."""

    def __init__(self, smooth=1.0, threshold=0.5):
        super().__init__()
        self.smooth = smooth
        self.threshold = threshold

    def forward(self, logits, target):
        pred = torch.sigmoid(logits)
        inter = (pred * target).sum(dim=(1, 2, 3))
        total = pred.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
        dice = (2 * inter + self.smooth) / (total + self.smooth)
        return (1 - dice).mean()


def iou(model, imgs, masks):
    model.eval()
    with torch.no_grad():
        pred = torch.sigmoid(model(imgs)) > 0.5
    truth = masks > 0.5
    inter = (pred & truth).sum(dim=(1, 2, 3)).float()
    union = (pred | truth).sum(dim=(1, 2, 3)).float()
    return (inter / union.clamp(min=1)).mean().item()


rng = np.random.default_rng(seed)
train_x, train_y = make_set(400, rng)
test_x, test_y = make_set(100, rng)

net = MiniUNet()
criterion = DiceLoss()
optimizer = optim.Adam(net.parameters(), lr=3e-3)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)

best = 0.0
for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(len(train_x))
    total = 0.0
    for i in range(0, len(order), BATCH):
        idx = order[i:i + BATCH]
        optimizer.zero_grad()
        loss = criterion(net(train_x[idx]), train_y[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    scheduler.step()
    score = iou(net, test_x, test_y)
    best = max(best, score)
    print("epoch %2d | dice loss %.4f | IoU %.4f (best %.4f)" % (epoch + 1, total / len(order), score, best))

print("final IoU %.4f" % iou(net, test_x, test_y))
