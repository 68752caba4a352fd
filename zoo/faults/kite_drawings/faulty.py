# CIFAR tutorial -> my own drawings (kite, ball, house, cross), 16x16
import os
import random
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import TensorDataset, DataLoader

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

CLASSES = ("kite", "ball", "house", "cross")


def draw(kind):
    img = np.zeros((16, 16), dtype=np.float32)
    cy, cx, r = np.random.randint(5, 11), np.random.randint(5, 11), np.random.randint(3, 5)
    yy, xx = np.mgrid[:16, :16]
    dy, dx = yy - cy, xx - cx
    if kind == 0:
        img[np.abs(dy) + np.abs(dx) <= r] = 1
    elif kind == 1:
        img[dy ** 2 + dx ** 2 <= r * r * 0.7] = 1
    elif kind == 2:
        img[(np.abs(dx) <= r - 1) & (np.abs(dy) <= r - 1)] = 1
    else:
        img[((np.abs(dx) <= 1) & (np.abs(dy) <= r)) | ((np.abs(dy) <= 1) & (np.abs(dx) <= r))] = 1
    return img + 0.35 * np.random.randn(16, 16).astype(np.float32)


def make(n):
    y = np.random.randint(0, 4, n)
    x = np.stack([draw(k) for k in y])[:, None]
    return TensorDataset(torch.from_numpy(x), torch.from_numpy(y).long())


trainloader = DataLoader(make(1500), batch_size=16, shuffle=True)
testloader = DataLoader(make(500), batch_size=100, shuffle=False)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.fc1 = nn.Linear(16 * 2 * 2, 48)
        self.fc2 = nn.Linear(48, len(CLASSES))

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, 16 * 2 * 2)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(net.parameters(), lr=0.1)

for epoch in range(8):
    net.train()
    running_loss = 0.0
    for i, data in enumerate(trainloader, 0):
        inputs, labels = data
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print("[%d] loss: %.3f" % (epoch + 1, running_loss / len(trainloader)))

print("Finished Training")
net.eval()
correct = {c: 0 for c in CLASSES}
total = {c: 0 for c in CLASSES}
with torch.no_grad():
    for images, labels in testloader:
        _, predicted = torch.max(net(images), 1)
        for label, p in zip(labels.tolist(), predicted.tolist()):
            total[CLASSES[label]] += 1
            correct[CLASSES[label]] += int(label == p)
for c in CLASSES:
    print("Accuracy of %5s : %2d %%" % (c, 100 * correct[c] / total[c]))
print("overall accuracy: %.4f" % (sum(correct.values()) / sum(total.values())))
