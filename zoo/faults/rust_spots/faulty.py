"""Segment rust on photographs of wheat leaves with a small U-Net."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(13)
rng = np.random.default_rng(13)
S = 32


def shoot():
    yy, xx = np.mgrid[0:S, 0:S]
    vein = 8 * np.sin(xx * rng.uniform(.2, .5) + rng.uniform(0, 6))
    img = np.stack([95 + vein, 135 + vein, 70 + vein], -1) + rng.normal(0, 12, (S, S, 3))
    mask = np.zeros((S, S), bool)
    for _ in range(rng.integers(1, 5)):
        cy, cx, r = rng.uniform(4, S - 4), rng.uniform(4, S - 4), rng.uniform(1.8, 4)
        mask |= (yy - cy) ** 2 + (xx - cx) ** 2 * rng.uniform(.6, 1.5) < r ** 2
    img[mask] += np.array([20, -10, -8])
    for _ in range(rng.integers(0, 3)):
        cy, cx = rng.integers(3, S - 3, 2)
        img[cy - 2:cy + 3, cx - 2:cx + 3][~mask[cy - 2:cy + 3, cx - 2:cx + 3]] += 25
    return np.clip(img * rng.uniform(.85, 1.1), 0, 255).astype(np.uint8), mask


class Normalize:
    def __init__(self, mean, std, max_pixel_value=255.0):
        self.mean = np.asarray(mean, np.float32) * max_pixel_value
        self.std = np.asarray(std, np.float32) * max_pixel_value

    def __call__(self, img):
        return (img.astype(np.float32) - self.mean) / self.std


class LeafSet(Dataset):
    def __init__(self, photos, transform, flip=False):
        self.photos, self.transform, self.flip = photos, transform, flip

    def __len__(self):
        return len(self.photos)

    def __getitem__(self, i):
        img, mask = self.photos[i]
        if self.flip and torch.rand(1).item() < .5:
            img, mask = img[:, ::-1], mask[:, ::-1]
        img = self.transform(img)
        img = img.astype("float32") / 255
        img = np.ascontiguousarray(img.transpose(2, 0, 1))
        return torch.from_numpy(img), torch.from_numpy(mask[None].astype("float32"))


class Block(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, padding=1)
        self.conv2 = nn.Conv2d(b, b, 3, padding=1)
        self.norm = nn.BatchNorm2d(b)

    def forward(self, x):
        return F.relu(self.norm(self.conv2(F.relu(self.conv1(x)))))


class UNet(nn.Module):
    def __init__(self, w=8):
        super().__init__()
        self.d0, self.d1, self.u0 = Block(3, w), Block(w, 2 * w), Block(3 * w, w)
        self.head = nn.Conv2d(w, 1, 1)

    def forward(self, x):
        a = self.d0(x)
        b = self.d1(F.max_pool2d(a, 2))
        up = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
        return self.head(self.u0(torch.cat([a, up], 1)))


def bce_dice(logits, mask):
    p = torch.sigmoid(logits).flatten(1)
    m = mask.flatten(1)
    dice = (2 * (p * m).sum(1) + 1) / (p.sum(1) + m.sum(1) + 1)
    return 0.5 * F.binary_cross_entropy_with_logits(logits, mask) + 1 - dice.mean()


def iou(model, loader):
    model.eval()
    inter = union = 0
    with torch.no_grad():
        for x, m in loader:
            p, m = model(x) > 0, m > .5
            inter += (p & m).sum().item()
            union += (p | m).sum().item()
    return inter / union


photos = [shoot() for _ in range(700)]
normalize = Normalize(mean=(.485, .456, .406), std=(.229, .224, .225))
train = DataLoader(LeafSet(photos[:500], normalize, flip=True), batch_size=10, shuffle=True)
test = DataLoader(LeafSet(photos[500:], normalize), batch_size=50)

model = UNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9, weight_decay=1e-4)
for epoch in range(8):
    model.train()
    losses = []
    for x, m in train:
        loss = bce_dice(model(x), m)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch + 1}  loss {np.mean(losses):.4f}")
print(f"test iou {iou(model, test):.4f}")
