"""Outline ponds on aerial pictures; a small U-Net in a minimal fit loop with hooks for the module."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Tiles(Dataset):
    """24 x 24 pixels, three bands; water is dark in the third band, and so are the shadows of trees."""

    def __init__(self, n, seed, flips):
        rng = np.random.default_rng(seed)
        yy, xx = np.mgrid[:24, :24]
        self.pictures, self.masks, self.flips = [], [], flips
        for _ in range(n):
            mask = np.zeros((24, 24), bool)
            for _ in range(rng.integers(0, 3)):
                cy, cx, a, b = rng.uniform(3, 21), rng.uniform(3, 21), rng.uniform(2, 5), rng.uniform(2, 5)
                mask |= ((yy - cy) / a) ** 2 + ((xx - cx) / b) ** 2 < 1
            shade = np.zeros((24, 24), bool)
            for _ in range(rng.integers(1, 4)):
                cy, cx = rng.integers(0, 22, 2)
                shade[cy : cy + 3, cx : cx + 3] = True
            bands = 0.55 + 0.06 * rng.normal(size=(3, 24, 24)) + 0.1 * rng.normal(size=(3, 1, 1))
            bands[2] -= 0.25 * (mask | shade)
            bands[0] -= 0.10 * (shade & ~mask)
            self.pictures.append(torch.tensor((bands - 0.5) / 0.15, dtype=torch.float32))
            self.masks.append(torch.tensor(mask[None], dtype=torch.float32))

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        picture, mask = self.pictures[i], self.masks[i]
        if self.flips and torch.rand(()) < 0.5:
            picture, mask = picture.flip(-1), mask.flip(-1)
        if self.flips and torch.rand(()) < 0.5:
            picture, mask = picture.flip(-2), mask.flip(-2)
        return picture, mask


def double(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1), nn.InstanceNorm2d(c_out, affine=True), nn.LeakyReLU(0.05),
        nn.Conv2d(c_out, c_out, 3, padding=1), nn.InstanceNorm2d(c_out, affine=True), nn.LeakyReLU(0.05),
    )  # fmt: skip


class PondModule(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.down1, self.down2, self.bottom = double(3, c), double(c, 2 * c), double(2 * c, 4 * c)
        self.up2, self.up1 = nn.ConvTranspose2d(4 * c, 2 * c, 2, 2), nn.ConvTranspose2d(2 * c, c, 2, 2)
        self.join2, self.join1 = double(4 * c, 2 * c), double(2 * c, c)
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        h = self.bottom(F.max_pool2d(b, 2))
        h = self.join2(torch.cat([self.up2(h), b], 1))
        return self.out(self.join1(torch.cat([self.up1(h), a], 1)))

    def training_step(self, batch):
        picture, mask = batch
        logits = self(picture)
        p = logits.sigmoid()
        overlap = 2 * (p * mask).sum() + 1
        dice = 1 - overlap / (p.sum() + mask.sum() + 1)
        return dice + 0.5 * F.binary_cross_entropy_with_logits(logits, mask)

    def on_validation_start(self):
        self.both = self.either = 0

    def validation_step(self, batch):
        picture, mask = batch
        said, water = self(picture) > 0, mask > 0.5
        self.both += (said & water).sum().item()
        self.either += (said | water).sum().item()

    def on_validation_end(self, epoch, loss):
        print(f"epoch {epoch}: loss {loss:.3f}, IoU of new tiles {self.both / self.either:.3f}")

    def configure_optimizers(self):
        opt = torch.optim.Adam(self.parameters(), lr=8e-3)
        return opt, torch.optim.lr_scheduler.PolynomialLR(opt, total_iters=5, power=0.9)


def fit(module, train_loader, val_loader, epochs):
    opt, sched = module.configure_optimizers()
    for epoch in range(1, epochs + 1):
        module.train()
        mean = 0.0
        for batch in train_loader:
            opt.zero_grad()
            loss = module.training_step(batch)
            loss.backward()
            opt.step()
            mean += loss.item() / len(train_loader)
        sched.step()
        module.eval()
        module.on_validation_start()
        with torch.no_grad():
            for batch in val_loader:
                module.validation_step(batch)
        module.on_validation_end(epoch, mean)


if __name__ == "__main__":
    torch.manual_seed(61)
    fit(
        PondModule(),
        DataLoader(Tiles(480, 61, flips=True), batch_size=8, shuffle=True),
        DataLoader(Tiles(120, 62, flips=False), batch_size=40),
        epochs=5,
    )
