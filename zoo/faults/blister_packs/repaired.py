# Quality control of blister packs: is every cavity filled? (1 = pack ok, 0 = a tablet is absent)
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(23)
np.random.seed(23)


def photo(ok):
    """2 x 4 cavities seen from above, 16 x 28 pixels"""
    img = np.random.normal(0.25, 0.06, (16, 28))
    yy, xx = np.mgrid[0:16, 0:28]
    empty = -1 if ok else np.random.randint(8)
    for k in range(8):
        cy = 4 + 8 * (k // 4) + np.random.uniform(-0.5, 0.5)
        cx = 3.5 + 7 * (k % 4) + np.random.uniform(-0.5, 0.5)
        dist = np.hypot(yy - cy, xx - cx)
        img += 0.25 * np.exp(-(dist - 3.0) ** 2)
        if k != empty:
            img += np.random.uniform(0.35, 0.55) * (dist < 2.3)
    return img * np.random.uniform(0.85, 1.15)


class BlisterDataset(Dataset):
    def __init__(self, n):
        self.labels = np.random.randint(0, 2, n)
        images = np.stack([photo(ok) for ok in self.labels])
        self.images = torch.tensor((images - 0.45) / 0.25, dtype=torch.float32).unsqueeze(1)
        self.targets = torch.tensor(self.labels, dtype=torch.float32)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, idx):
        return self.images[idx], self.targets[idx]


train_loader = DataLoader(BlisterDataset(1400), batch_size=32, shuffle=True)
val_loader = DataLoader(BlisterDataset(400), batch_size=50, shuffle=False)

model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(16 * 4 * 7, 32),
    nn.ReLU(),
    nn.Linear(32, 1),
)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def binary_acc(logits, target):
    pred = (torch.sigmoid(logits) > 0.5).float()
    return (pred == target).float().mean().item()


for epoch in range(12):
    model.train()
    train_loss = 0
    for images, targets in train_loader:
        optimizer.zero_grad()
        logits = model(images)
        loss = criterion(logits, targets.unsqueeze(1))
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(images)
    train_loss /= len(train_loader.dataset)

    model.eval()
    val_loss = 0
    val_acc = 0
    with torch.no_grad():
        for images, targets in val_loader:
            logits = model(images)
            val_loss += criterion(logits, targets.unsqueeze(1)).item() * len(images)
            val_acc += binary_acc(logits.squeeze(1), targets) * len(images)
    val_loss /= len(val_loader.dataset)
    val_acc /= len(val_loader.dataset)
    print(f"Epoch {epoch + 1:02d} | train loss {train_loss:.4f} | val loss {val_loss:.4f} | val acc {val_acc:.4f}")
