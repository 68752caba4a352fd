"""Label every pixel of a small scene: background, disc or bar."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIDE = 24


def scene(rng):
    mask = np.zeros((SIDE, SIDE), dtype=np.int64)
    yy, xx = np.mgrid[:SIDE, :SIDE]
    cy, cx = rng.integers(5, SIDE - 5, 2)
    mask[(yy - cy) ** 2 + (xx - cx) ** 2 <= rng.integers(3, 6) ** 2] = 1
    top, left = rng.integers(0, SIDE - 8, 2)
    mask[top : top + rng.integers(3, 8), left : left + rng.integers(3, 8)] = 2
    tint = np.array([[0.0, 0.0], [0.9, 0.3], [0.3, 0.9]])[mask]
    image = tint + rng.normal(0, 0.35, tint.shape)
    return image.transpose(2, 0, 1).astype(np.float32), mask


def scenes(n, seed):
    rng = np.random.default_rng(seed)
    images, masks = zip(*(scene(rng) for _ in range(n)))
    return TensorDataset(torch.from_numpy(np.stack(images)) - 0.2, torch.from_numpy(np.stack(masks)))


class Segmenter(nn.Module):
    def __init__(self, width=12, classes=3):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(2, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.deep = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.Upsample(scale_factor=2),
        )
        self.out = nn.Conv2d(3 * width, classes, 3, padding=1)
        self.norm = nn.LogSoftmax(dim=-1)

    def forward(self, x):
        fine = self.down(x)
        return self.norm(self.out(torch.cat([fine, self.deep(fine)], dim=1)))


class SegmentationTrainer:
    def __init__(self, model, train_set, test_set, lr=3e-3):
        self.model = model
        self.train_loader = DataLoader(train_set, batch_size=16, shuffle=True)
        self.test_loader = DataLoader(test_set, batch_size=64)
        self.criterion = nn.NLLLoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def run_epoch(self):
        self.model.train()
        total = 0.0
        for images, masks in self.train_loader:
            loss = self.criterion(self.model(images), masks)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(images)
        return total / len(self.train_loader.dataset)

    @torch.no_grad()
    def mean_iou(self):
        self.model.eval()
        inter, union = torch.zeros(3), torch.zeros(3)
        for images, masks in self.test_loader:
            pred = self.model(images).argmax(1)
            for c in range(3):
                inter[c] += ((pred == c) & (masks == c)).sum()
                union[c] += ((pred == c) | (masks == c)).sum()
        return (inter / union.clamp(min=1)).mean().item()

    def fit(self, epochs):
        for epoch in range(1, epochs + 1):
            loss = self.run_epoch()
            print(f"epoch {epoch}: nll {loss:.4f}, mean IoU {self.mean_iou():.3f}")


if __name__ == "__main__":
    torch.manual_seed(3)
    SegmentationTrainer(Segmenter(), scenes(320, 1), scenes(128, 2)).fit(8)
