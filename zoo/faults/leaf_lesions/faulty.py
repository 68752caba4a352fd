"""Segment the lesions on photographs of leaves. Semester project, plant pathology x deep learning."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SIZE = 24


class LeafPhotos(Dataset):
    """Photographs are painted on the fly from a seed of their own, so no folder of images is needed."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.items = [self.paint(rng) for _ in range(count)]

    @staticmethod
    def paint(rng):
        yy, xx = np.mgrid[:SIZE, :SIZE]
        green = np.array([0.25, 0.55, 0.2]) + rng.normal(0, 0.05, 3)
        image = np.ones((SIZE, SIZE, 3)) * green
        image *= rng.uniform(0.7, 1.2) + 0.25 * ((xx - yy) / SIZE * rng.uniform(-1, 1))[..., None]
        vein = np.abs(xx - SIZE / 2 - rng.uniform(-0.4, 0.4) * (yy - SIZE / 2)) < 1
        image[vein] = image[vein] * 0.6 + np.array([0.3, 0.3, 0.15])
        mask = np.zeros((SIZE, SIZE), dtype=bool)
        for _ in range(rng.integers(1, 4)):
            cy, cx, r = rng.uniform(3, SIZE - 3), rng.uniform(3, SIZE - 3), rng.uniform(1.8, 4.5)
            mask |= (yy - cy) ** 2 + ((xx - cx) * rng.uniform(0.7, 1.3)) ** 2 < r ** 2
        image[mask] = 0.5 * image[mask] + 0.5 * np.array([0.45, 0.33, 0.18])
        image += 0.06 * rng.standard_normal(image.shape)
        return (
            torch.tensor((image - 0.4) / 0.2, dtype=torch.float32).permute(2, 0, 1),
            torch.tensor(mask[None], dtype=torch.float32),
        )

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def conv(n_in, n_out):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU())


class SmallUNet(nn.Module):
    def __init__(self, w=12):
        super().__init__()
        self.down1 = conv(3, w)
        self.down2 = conv(w, 2 * w)
        self.bottom = conv(2 * w, 2 * w)
        self.up = conv(3 * w, w)
        self.head = nn.Conv2d(w, 1, 1)
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x):
        a = self.down1(x)
        b = self.bottom(self.down2(self.pool(a)))
        return self.head(self.up(torch.cat([a, self.grow(b)], dim=1)))


class Trainer:
    def __init__(self, model, train_set, val_set):
        self.model = model
        self.train_loader = DataLoader(train_set, batch_size=16, shuffle=True)
        self.val_loader = DataLoader(val_set, batch_size=40)
        self.criterion = nn.BCEWithLogitsLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def train_epoch(self):
        self.model.train()
        losses = []
        self.optimizer.zero_grad()
        for images, masks in self.train_loader:
            loss = self.criterion(self.model(images), masks)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    @torch.no_grad()
    def dice(self):
        self.model.eval()
        both = total = 0.0
        for images, masks in self.val_loader:
            found = (self.model(images) > 0).float()
            both += (found * masks).sum().item()
            total += found.sum().item() + masks.sum().item()
        return 2 * both / max(total, 1.0)

    def fit(self, epochs):
        for epoch in range(epochs):
            loss = self.train_epoch()
            print(f"epoch {epoch + 1} loss {loss:.4f} dice {self.dice():.3f}")


if __name__ == "__main__":
    torch.manual_seed(31)
    trainer = Trainer(SmallUNet(), LeafPhotos(320, seed=31), LeafPhotos(120, seed=32))
    trainer.fit(epochs=11)
