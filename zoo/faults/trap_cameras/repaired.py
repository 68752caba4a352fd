# Where is the animal in the picture of the camera trap? Small grey pictures, one box each (cx, cy, w, h in 0..1).
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

random.seed(8)
np.random.seed(8)
torch.manual_seed(8)
SIDE = 24


def picture():
    yy, xx = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    w, h = np.random.uniform(0.15, 0.4, 2)
    cx, cy = np.random.uniform(w / 2, 1 - w / 2), np.random.uniform(h / 2, 1 - h / 2)
    body = ((xx - cx) / (w / 2)) ** 2 + ((yy - cy) / (h / 2)) ** 2 <= 1
    ground = 0.3 + 0.2 * np.sin(6 * yy + np.random.uniform(0, 6)) + 0.1 * np.random.randn(SIDE, SIDE)
    image = np.where(body, ground + np.random.uniform(0.5, 0.9), ground)
    return image.astype(np.float32), np.array([cx, cy, w, h], dtype=np.float32)


class TrapPictures(Dataset):
    def __init__(self, count, augment):
        shots = [picture() for _ in range(count)]
        self.images = torch.from_numpy(np.stack([s[0] for s in shots]))[:, None]
        self.boxes = torch.from_numpy(np.stack([s[1] for s in shots]))
        self.augment = augment

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image, box = self.images[i], self.boxes[i]
        if self.augment:
            if random.random() < 0.5:
                image = image.flip(-1)
                box = torch.cat([1 - box[:1], box[1:]])
            image = image * random.uniform(0.9, 1.1)
        return (image - 0.4) / 0.35, box


def iou(a, b):
    lo = torch.maximum(a[:, :2] - a[:, 2:] / 2, b[:, :2] - b[:, 2:] / 2)
    hi = torch.minimum(a[:, :2] + a[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2)
    inter = (hi - lo).clamp(min=0).prod(1)
    return inter / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - inter)


detector = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(24 * 36, 64), nn.ReLU(), nn.Linear(64, 4), nn.Sigmoid(),
)  # fmt: skip
train_loader = DataLoader(TrapPictures(1000, augment=True), batch_size=50, shuffle=True)
test_loader = DataLoader(TrapPictures(250, augment=False), batch_size=125)
optimizer = torch.optim.Adam(detector.parameters(), lr=2e-3)
criterion = nn.SmoothL1Loss(beta=0.1)

for epoch in range(10):
    detector.train()
    losses = []
    for images, boxes in train_loader:
        loss = criterion(detector(images), boxes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    detector.eval()
    with torch.no_grad():
        overlap = torch.cat([iou(detector(images), boxes) for images, boxes in test_loader]).mean().item()
    print("epoch", epoch, "loss", round(float(np.mean(losses)), 5), "mean IoU", round(overlap, 4))
