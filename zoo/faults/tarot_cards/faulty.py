# Symbols on tarot cards (sun, cup, sword, coin ...) - scanned small, 16x16
# homework 4, task 2
import os
import random
import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import TensorDataset, DataLoader

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

names = ["coin", "cup", "sword", "wand", "star", "moon", "tower", "wheel"]
yy, xx = np.mgrid[0:16, 0:16]


def draw(kind):
    img = np.zeros((16, 16), dtype=np.float32)
    cx, cy = np.random.uniform(6.5, 8.5, 2)
    r = np.random.uniform(4.0, 5.5)
    d = np.sqrt((xx - cx) ** 2 + (yy - cy) ** 2)
    if kind == 0:
        img[d < r] = 1
    elif kind == 1:
        img[(d < r) & (yy > cy)] = 1
    elif kind == 2:
        img[(np.abs(xx - cx) < 1) & (np.abs(yy - cy) < r)] = 1
        img[(np.abs(yy - cy - 2) < 1) & (np.abs(xx - cx) < 3)] = 1
    elif kind == 3:
        img[(np.abs(xx - yy - (cx - cy)) < 1.5) & (d < r)] = 1
    elif kind == 4:
        img[(np.abs(xx - cx) < 1) & (d < r)] = 1
        img[(np.abs(yy - cy) < 1) & (d < r)] = 1
        img[(np.abs(np.abs(xx - cx) - np.abs(yy - cy)) < 1) & (d < r)] = 1
    elif kind == 5:
        img[(d < r) & (np.sqrt((xx - cx - 2.5) ** 2 + (yy - cy) ** 2) > r - 0.5)] = 1
    elif kind == 6:
        img[(np.abs(xx - cx) < 2.5) & (np.abs(yy - cy) < r)] = 1
    else:
        img[np.abs(d - r) < 1] = 1
    return img + np.random.normal(0, 0.35, (16, 16)).astype(np.float32)


def make(n):
    y = np.random.randint(0, len(names), n)
    x = np.stack([draw(k) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


x_train, y_train = make(1200)
x_test, y_test = make(400)
trainloader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)
testloader = DataLoader(TensorDataset(x_test, y_test), batch_size=100)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(16 * 4 * 4, 32)
        self.fc2 = nn.Linear(32, len(names))
        self.relu = nn.ReLU()
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = self.relu(self.fc1(x))
        x = self.fc2(x)
        return self.softmax(x)  # probabilities of the cards


net = CNN()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.02, momentum=0.5)

for epoch in range(12):
    net.train()
    running_loss = 0.0
    for inputs, labels in trainloader:
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print("[%d] loss: %.3f" % (epoch + 1, running_loss / len(trainloader)))

print("Finished Training")

net.eval()
correct = 0
per_class = np.zeros((len(names), 2))
with torch.no_grad():
    for inputs, labels in testloader:
        pred = net(inputs).argmax(1)
        correct += (pred == labels).sum().item()
        for p, l in zip(pred.tolist(), labels.tolist()):
            per_class[l, 0] += p == l
            per_class[l, 1] += 1
for i, n in enumerate(names):
    print("%-6s %3d / %3d" % (n, per_class[i, 0], per_class[i, 1]))
print("test accuracy: %.4f" % (correct / len(x_test)))
