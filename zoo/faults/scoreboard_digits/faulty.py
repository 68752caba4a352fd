import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Dataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

EPOCHS = 18
BATCH = 48


class Scoreboard(Dataset):
    """Digits read off a scoreboard; for training they are moved by up to one pixel."""

    def __init__(self, images, labels, augment):
        self.images = torch.tensor(images / 16.0, dtype=torch.float32).unsqueeze(1)
        self.labels = torch.tensor(labels)
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = self.images[i]
        if self.augment:
            img = torch.roll(img, random.choice([-1, 0, 0, 1]), dims=2)
        return img, self.labels[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1)
        self.drop = nn.Dropout(0.25)
        self.fc1 = nn.Linear(24 * 4, 48)
        self.fc2 = nn.Linear(48, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.drop(torch.flatten(x, 1))
        return self.fc2(F.relu(self.fc1(x)))


def train(model, loader, optimizer, scheduler):
    model.train()
    total_loss, correct = 0.0, 0
    for data, target in loader:
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total_loss += loss.item() * len(target)
        correct += (output.argmax(1) == target).sum().item()
    return total_loss / len(loader.dataset), correct / len(loader.dataset)


def test(model, loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += (output.argmax(1) == target).sum().item()
    return test_loss / len(loader.dataset), correct / len(loader.dataset)


digits = load_digits()
tr_x, te_x, tr_y, te_y = train_test_split(
    digits.images, digits.target, test_size=0.25, stratify=digits.target, random_state=seed
)
train_loader = DataLoader(Scoreboard(tr_x, tr_y, True), batch_size=BATCH, shuffle=True)
test_loader = DataLoader(Scoreboard(te_x, te_y, False), batch_size=256)

model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
# a third every four epochs
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.33)

best = 0.0
for epoch in range(1, EPOCHS + 1):
    loss, acc = train(model, train_loader, optimizer, scheduler)
    test_loss, test_acc = test(model, test_loader)
    best = max(best, test_acc)
    print(f"Epoch {epoch:2d} | train loss {loss:.4f} acc {acc:.3f} | test loss {test_loss:.4f} acc {test_acc:.3f}")

print(f"best epoch {best:.4f}")
print(f"test accuracy {test(model, test_loader)[1]:.4f}")
