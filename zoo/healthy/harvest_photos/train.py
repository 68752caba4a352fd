"""Four kinds of fruit on the belt, 24x24 colour pictures, a small CNN with OneCycleLR."""
import math
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))
NAMES = ("apple", "pear", "plum", "quince")
COLOURS = torch.tensor([[0.75, 0.25, 0.2], [0.65, 0.7, 0.25], [0.4, 0.2, 0.5], [0.8, 0.7, 0.25]])


def take_photos(n, gen):
    """Round or pear-shaped blobs in overlapping colours before a grey belt."""
    labels = torch.randint(0, 4, (n,), generator=gen)
    axis = torch.linspace(-1, 1, 24)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")
    images = torch.empty(n, 3, 24, 24)
    for i, k in enumerate(labels.tolist()):
        r = torch.rand(6, generator=gen)
        angle = 2 * math.pi * r[0].item()
        cx, cy, size = 0.4 * (r[1] - 0.5), 0.4 * (r[2] - 0.5), 0.4 + 0.25 * r[3]
        u = (xx - cx) * math.cos(angle) + (yy - cy) * math.sin(angle)
        v = -(xx - cx) * math.sin(angle) + (yy - cy) * math.cos(angle)
        neck = 0.45 if k in (1, 3) else 0.0
        width = size * (1 - neck * (u / size).clamp(-1, 1))
        inside = ((u / (1.25 * size if neck else size)) ** 2 + (v / width) ** 2 < 1).float()
        colour = COLOURS[k] + 0.07 * torch.randn(3, generator=gen)
        shade = 0.7 + 0.3 * r[4] + 0.25 * (u + v)
        belt = 0.3 + 0.2 * r[5] * torch.ones(3, 1, 1)
        images[i] = inside * colour.view(3, 1, 1) * shade + (1 - inside) * belt
    images += 0.12 * torch.randn(images.shape, generator=gen)
    return images.clamp(0, 1), labels


class Photos(Dataset):
    def __init__(self, images, labels, mean, std, augment):
        self.images = (images - mean) / std
        self.labels, self.augment = labels, augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        if self.augment:
            if torch.rand(1).item() < 0.5:
                image = image.flip(-1)
            if torch.rand(1).item() < 0.5:
                image = image.flip(-2)
        return image, self.labels[i]


class FruitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(32)
        self.fc1 = nn.Linear(32 * 9, 32)
        self.fc2 = nn.Linear(32, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        x = F.dropout(x.flatten(1), 0.3, training=self.training)
        return self.fc2(F.relu(self.fc1(x)))


def test(model, loader):
    model.eval()
    table = torch.zeros(4, 4, dtype=torch.long)
    with torch.no_grad():
        for images, labels in loader:
            for t, p in zip(labels, model(images).argmax(1)):
                table[t, p] += 1
    return table


gen = torch.Generator().manual_seed(SEED)
torch.manual_seed(SEED)
images, labels = take_photos(2400, gen)
mean = images[:1600].mean((0, 2, 3)).view(3, 1, 1)
std = images[:1600].std((0, 2, 3)).view(3, 1, 1)
train_loader = DataLoader(Photos(images[:1600], labels[:1600], mean, std, True), batch_size=32, shuffle=True)
valid_loader = DataLoader(Photos(images[1600:2000], labels[1600:2000], mean, std, False), batch_size=100)
test_loader = DataLoader(Photos(images[2000:], labels[2000:], mean, std, False), batch_size=100)

EPOCHS = 8
model = FruitNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=EPOCHS * len(train_loader))
for epoch in range(EPOCHS):
    model.train()
    total = 0.0
    for batch, target in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(target)
    table = test(model, valid_loader)
    print(f"epoch {epoch + 1}: loss {total / 1600:.4f}  valid accuracy {table.trace().item() / 400:.4f}")

table = test(model, test_loader)
print(NAMES)
print(table)
print(f"test accuracy {table.trace().item() / table.sum().item():.4f}")
