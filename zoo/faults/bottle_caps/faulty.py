import copy
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

SIZE = 20
KINDS = ["good", "scratch", "off centre", "no liner"]


def draw_cap(rng, kind):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    cy, cx = SIZE / 2 + rng.normal(0, 0.5, 2)
    if kind == 2:
        ang = rng.uniform(0, 2 * np.pi)
        cy, cx = cy + 2.2 * np.sin(ang), cx + 2.2 * np.cos(ang)
    r = np.hypot(yy - cy, xx - cx)
    img = 90.0 + 100.0 * (r < 7)
    if kind != 3:
        img -= 35.0 * ((r > 4.0) & (r < 5.5))
    if kind == 1:
        ang = rng.uniform(0, np.pi)
        dist = np.abs((yy - cy) * np.cos(ang) - (xx - cx) * np.sin(ang) - rng.uniform(-2, 2))
        img -= 60.0 * ((dist < 0.8) & (r < 7))
    img = img * rng.uniform(0.8, 1.15) + rng.normal(0, 12, img.shape)
    return img.clip(0, 255)


class Caps(Dataset):
    def __init__(self, n, rng, augment=False):
        self.kinds = rng.integers(0, len(KINDS), n)
        self.images = np.stack([draw_cap(rng, k) for k in self.kinds]).astype(np.float32)
        self.augment = augment

    def __len__(self):
        return len(self.kinds)

    def __getitem__(self, i):
        img = self.images[i]
        if self.augment:
            if random.random() < 0.5:
                img = img[:, ::-1]
            if random.random() < 0.5:
                img = img[::-1]
        x = torch.from_numpy(np.ascontiguousarray(img))[None] / 64.0
        return x, int(self.kinds[i])


def conv_block(c_in, c_out):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


class CapNet(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.body = nn.Sequential(
            conv_block(1, width), nn.MaxPool2d(2),
            conv_block(width, 2 * width), nn.MaxPool2d(2),
            conv_block(2 * width, 3 * width),
        )
        self.head = nn.Linear(3 * width * 25, len(KINDS))

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


class WeightAverage:
    """Slow copy of a model, the one that goes to the line."""

    def __init__(self, model, decay=0.98):
        self.model = copy.deepcopy(model).eval()
        self.decay = decay
        for p in self.model.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for slow, fast in zip(self.model.parameters(), model.parameters()):
            slow.lerp_(fast, 1 - self.decay)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    hits = total = 0
    for x, y in loader:
        hits += (model(x).argmax(1) == y).sum().item()
        total += len(y)
    return hits / total


def main():
    random.seed(4)
    np.random.seed(4)
    torch.manual_seed(4)
    rng = np.random.default_rng(np.random.randint(100000))
    train_loader = DataLoader(Caps(1200, rng, augment=True), batch_size=50, shuffle=True)
    test_loader = DataLoader(Caps(500, rng), batch_size=100)

    model = CapNet()
    average = WeightAverage(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4, nesterov=True)
    epochs = 12
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.06, total_steps=epochs * len(train_loader))
    criterion = nn.CrossEntropyLoss()

    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, y in train_loader:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            average.update(model)
            total += loss.item()
        print(f"epoch {epoch + 1:2d}/{epochs} loss {total / len(train_loader):.4f}")

    print(f"accuracy on the line {evaluate(average.model, test_loader):.4f}")


if __name__ == "__main__":
    main()
