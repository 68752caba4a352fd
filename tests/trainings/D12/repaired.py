"""Handwritten digits, small shifts as augmentation."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset


class Digits(Dataset):
    def __init__(self, augment):
        digits = load_digits()
        self.images = (digits.images / 16).astype(np.float32)
        self.labels = digits.target
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        if self.augment:
            image = np.roll(image, np.random.randint(-1, 2, size=2), axis=(0, 1))
        return torch.from_numpy(image.copy())[None], int(self.labels[i])


def score(net, loader):
    net.eval()
    with torch.no_grad():
        hits = sum((net(images).argmax(1) == labels).sum().item() for images, labels in loader)
    net.train()
    return hits / len(loader.dataset)


np.random.seed(3)
torch.manual_seed(3)
order = torch.randperm(1797).tolist()
train = Subset(Digits(augment=True), order[:1000])
val = Subset(Digits(augment=False), order[1000:1300])
train_loader = DataLoader(train, batch_size=50, shuffle=True)
val_loader = DataLoader(val, batch_size=100)
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
for epoch in range(8):
    for images, labels in train_loader:
        loss = nn.functional.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{epoch}: {loss.item():.3f} {score(net, val_loader):.3f}")
