"""U-Net segmentation of islands in small hazy aerial pictures (BCE + Dice)."""
import os
import tempfile
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    seed: int = 7
    size: int = 32
    n_train: int = 416
    n_val: int = 96
    n_test: int = 160
    batch: int = 16
    epochs: int = 8
    lr: float = 4e-3
    weight_decay: float = 1e-4


def make_scene(rng, size):
    field = gaussian_filter(rng.standard_normal((size, size)), 4.0, mode="wrap")
    mask = (field > np.quantile(field, rng.uniform(0.65, 0.85))).astype(np.float32)
    sea = gaussian_filter(rng.standard_normal((size, size)), (0.6, 2.0))
    land = gaussian_filter(rng.standard_normal((size, size)), 0.8)
    image = np.where(mask > 0, 0.45 + 0.9 * land, 0.35 + 0.5 * sea)
    yy, xx = np.mgrid[0:size, 0:size] / size
    haze = rng.uniform(-0.6, 0.6) * yy + rng.uniform(-0.6, 0.6) * xx
    return (image + haze + 0.05 * rng.standard_normal((size, size))).astype(np.float32), mask


class Scenes(Dataset):
    def __init__(self, n, size, seed, augment=False):
        rng = np.random.default_rng(seed)
        pairs = [make_scene(rng, size) for _ in range(n)]
        self.images = torch.from_numpy(np.stack([p[0] for p in pairs]))[:, None]
        self.masks = torch.from_numpy(np.stack([p[1] for p in pairs]))[:, None]
        self.augment = augment

    def normalize(self, mean, std):
        self.images = (self.images - mean) / std

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        x, y = self.images[i], self.masks[i]
        if self.augment and torch.rand(()) < 0.5:
            x, y = x.flip(-1), y.flip(-1)  # the swell runs east-west, so mirrored scenes stay plausible
        return x, y


def block(cin, cout):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True),
        nn.Conv2d(cout, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self, w=12):
        super().__init__()
        self.down1, self.down2, self.mid = block(1, w), block(w, 2 * w), block(2 * w, 4 * w)
        self.up2, self.up1 = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2), nn.ConvTranspose2d(2 * w, w, 2, 2)
        self.dec2, self.dec1 = block(4 * w, 2 * w), block(2 * w, w)
        self.out = nn.Conv2d(w, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.mid(F.max_pool2d(b, 2))
        b = self.dec2(torch.cat([self.up2(c), b], 1))
        a = self.dec1(torch.cat([self.up1(b), a], 1))
        return self.out(a)


def bce_dice(logits, target):
    p = torch.sigmoid(logits)
    inter = (p * target).sum((1, 2, 3))
    soft = (2 * inter + 1) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
    return F.binary_cross_entropy_with_logits(logits, target) + (1 - soft).mean()


class Trainer:
    def __init__(self, cfg, workdir):
        torch.manual_seed(cfg.seed)
        self.cfg, self.path = cfg, os.path.join(workdir, "best.pt")
        train = Scenes(cfg.n_train, cfg.size, cfg.seed, augment=True)
        val, test = Scenes(cfg.n_val, cfg.size, cfg.seed + 1), Scenes(cfg.n_test, cfg.size, cfg.seed + 2)
        mean, std = train.images.mean(), train.images.std()
        for ds in (train, val, test):
            ds.normalize(mean, std)
        self.train_dl = DataLoader(train, cfg.batch, shuffle=True, drop_last=True)
        self.val_dl, self.test_dl = DataLoader(val, 32), DataLoader(test, 32)
        self.net = UNet()
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(
            self.opt, cfg.lr, epochs=cfg.epochs, steps_per_epoch=len(self.train_dl))

    @torch.no_grad()
    def dice(self, loader):
        self.net.eval()
        scores = []
        for x, y in loader:
            p = (self.net(x) > 0).float()
            scores.append((2 * (p * y).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + y.sum((1, 2, 3)) + 1))
        return torch.cat(scores).mean().item()

    def fit(self):
        best = 0.0
        for epoch in range(self.cfg.epochs):
            self.net.train()
            total = 0.0
            for x, y in self.train_dl:
                loss = bce_dice(self.net(x), y)
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                self.sched.step()
                total += loss.item()
            score = self.dice(self.val_dl)
            print(f"epoch {epoch} loss {total / len(self.train_dl):.3f} val dice {score:.3f}")
            if score > best:
                best = score
                torch.save(self.net.state_dict(), self.path)
        self.net.load_state_dict(torch.load(self.path))
        return self.dice(self.test_dl)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as tmp:
        trainer = Trainer(Config(), tmp)
        score = trainer.fit()
    all_land = torch.cat([2 * y.sum((1, 2, 3)) / (y.sum((1, 2, 3)) + y[0].numel()) for _, y in trainer.test_dl])
    print(f"test dice {score:.3f} (everything land: {all_land.mean().item():.3f})")
