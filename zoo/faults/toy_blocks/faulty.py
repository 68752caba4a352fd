"""Two tasks from one picture of a toy block: which shape it has, and how big it is."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SHAPES = ["square", "disc", "triangle", "cross"]
SIDE = 16


def picture(shape, size):
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    cy, cx = np.random.uniform(6, 10, 2)
    dx, dy = np.abs(x - cx), np.abs(y - cy)
    if shape == 0:
        inside = np.maximum(dx, dy) < size
    elif shape == 1:
        inside = np.hypot(dx, dy) < size
    elif shape == 2:
        inside = (y - cy < size) & (y - cy > 2 * dx - size)
    else:
        inside = ((dx < size / 3) & (dy < size)) | ((dy < size / 3) & (dx < size))
    return inside * np.random.uniform(0.5, 1.0) + 0.1 * np.random.randn(SIDE, SIDE)


def build(n):
    shapes = np.random.randint(0, 4, n)
    sizes = np.random.uniform(2.5, 6.0, n)
    pics = np.stack([picture(s, r) for s, r in zip(shapes, sizes)])
    return TensorDataset(torch.tensor(pics, dtype=torch.float32).unsqueeze(1), torch.tensor(shapes),
                         torch.tensor((sizes - 4.25) / 1.0, dtype=torch.float32))


class BlockNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(24 * 16, 64), nn.ReLU(),
        )
        self.shape_head = nn.Linear(64, len(SHAPES))
        self.size_head = nn.Linear(64, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.shape_head(h), self.size_head(h).squeeze(1)


def make_loader(dataset, batch_size=64, shuffle=True):
    return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle)


@torch.no_grad()
def report(model, loader):
    model.eval()
    outputs = [model(x) for x, _, _ in loader]
    shape_pred = torch.cat([o[0] for o in outputs]).argmax(1)
    size_pred = torch.cat([o[1] for o in outputs])
    shape_true = torch.cat([s for _, s, _ in loader])
    size_true = torch.cat([r for _, _, r in loader])
    confusion = torch.zeros(4, 4, dtype=torch.long)
    for t, p in zip(shape_true, shape_pred):
        confusion[t, p] += 1
    accuracy = (shape_pred == shape_true).float().mean().item()
    size_error = (size_pred - size_true).abs().mean().item()
    return accuracy, size_error, confusion


def train_one_epoch(model, loader, optimizer, size_weight):
    model.train()
    sums = [0.0, 0.0]
    for x, shape, size in loader:
        shape_logits, size_out = model(x)
        shape_loss = F.cross_entropy(shape_logits, shape)
        size_loss = F.mse_loss(size_out, size)
        optimizer.zero_grad()
        (shape_loss + size_weight * size_loss).backward()
        optimizer.step()
        sums[0] += shape_loss.item() * len(x)
        sums[1] += size_loss.item() * len(x)
    return [s / len(loader.dataset) for s in sums]


def main():
    torch.manual_seed(31)
    np.random.seed(31)
    train_set, test_set = build(1600), build(500)
    train_loader = make_loader(train_set)
    test_loader = make_loader(test_set)

    model = BlockNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[6, 8], gamma=0.3)
    for epoch in range(1, 10):
        shape_loss, size_loss = train_one_epoch(model, train_loader, optimizer, size_weight=0.5)
        scheduler.step()
        print(f"epoch {epoch:2d}  shape loss {shape_loss:.4f}  size loss {size_loss:.4f}")

    accuracy, size_error, confusion = report(model, test_loader)
    print("rows: true shape, columns: predicted")
    for name, row in zip(SHAPES, confusion.tolist()):
        print(f"  {name:9s}", row)
    print(f"size error {size_error:.3f}")
    print(f"shape accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
