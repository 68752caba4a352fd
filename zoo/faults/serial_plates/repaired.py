import os
import random
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset, Subset

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)
torch.set_num_threads(1)


def read_scans():
    """Single digits cut from the scans of the serial number plates (grey values)."""
    bunch = load_digits()
    scans = bunch.images / bunch.images.max()
    rng = np.random.default_rng(SEED)
    # uneven light of the scanner
    light = rng.uniform(0.85, 1.0, (len(scans), 1, 1))
    return (scans * light).astype(np.float32), bunch.target


class ToInput:
    """grey values to the range of the net"""

    def __call__(self, img):
        return torch.from_numpy(img).float().unsqueeze(0)


class Shift:
    def __init__(self, p=0.3):
        self.p = p

    def __call__(self, img):
        if random.random() < self.p:
            img = np.roll(img, random.choice([-1, 1]), axis=random.choice([0, 1]))
        return img


class Compose:
    def __init__(self, steps):
        self.steps = steps

    def __call__(self, img):
        for step in self.steps:
            img = step(img)
        return img


class PlateDigits(Dataset):
    def __init__(self, images, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(self.images[i]), int(self.labels[i])


class LeNetSmall(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def train_one_epoch(model, loader, optimizer, epoch):
    model.train()
    start, losses = time.time(), []
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"Epoch {epoch:2d}: loss {np.mean(losses):.4f} ({time.time() - start:.1f} s)", end="  ")


def evaluate(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (model(x).argmax(dim=1) == y).sum().item()
    return correct / len(loader.dataset)


def main():
    images, labels = read_scans()
    order = np.random.permutation(len(labels))
    n_test = 450
    train_ds = PlateDigits(images, labels, Compose([Shift(), ToInput()]))
    test_ds = PlateDigits(images, labels, Compose([ToInput()]))
    train_loader = DataLoader(Subset(train_ds, order[n_test:].tolist()), batch_size=32, shuffle=True)
    test_loader = DataLoader(Subset(test_ds, order[:n_test].tolist()), batch_size=150)

    model = LeNetSmall()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=6, gamma=0.3)
    for epoch in range(1, 10):
        train_one_epoch(model, train_loader, optimizer, epoch)
        scheduler.step()
        print(f"test accuracy {evaluate(model, test_loader):.4f}")
    print(f"Result: {evaluate(model, test_loader):.4f} of the digits are read correctly")


if __name__ == "__main__":
    main()
