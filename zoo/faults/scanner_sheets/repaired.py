"""Digits, read from one folder per class as ImageFolder would do."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


class FolderDataset(Dataset):
    """samples are (image, class) pairs, folder by folder"""

    def __init__(self, part):
        d = load_digits()
        self.samples = []
        for c in range(10):
            rows = np.flatnonzero(d.target == c)
            np.random.RandomState(seed).shuffle(rows)
            cut = int(0.75 * len(rows))
            for r in (rows[:cut] if part == "train" else rows[cut:]):
                self.samples.append((d.images[r], c))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        image, c = self.samples[i]
        return torch.tensor(image, dtype=torch.float32).unsqueeze(0) / 8 - 1, c


loaders = {
    "train": DataLoader(FolderDataset("train"), batch_size=32, shuffle=True),
    "val": DataLoader(FolderDataset("val"), batch_size=32),
}

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(8):
    for phase in ("train", "val"):
        model.train(phase == "train")
        running_loss, running_corrects = 0.0, 0
        for inputs, labels in loaders[phase]:
            optimizer.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                outputs = model(inputs)
                loss = criterion(outputs, labels)
                if phase == "train":
                    loss.backward()
                    optimizer.step()
            running_loss += loss.item() * inputs.size(0)
            running_corrects += (outputs.argmax(1) == labels).sum().item()
        n = len(loaders[phase].dataset)
        print("{} {} Loss: {:.4f} Acc: {:.4f}".format(epoch, phase, running_loss / n, running_corrects / n))

print("final val accuracy {:.4f}".format(running_corrects / n))
