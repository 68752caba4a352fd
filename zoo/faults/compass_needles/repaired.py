import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# photographs of compasses (drawn): where does the needle point?
np.random.seed(77)
torch.manual_seed(77)
SIZE = 14


def draw(angle):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE]
    cx, cy = (SIZE - 1) / 2 + np.random.uniform(-1, 1, 2)
    img = np.zeros((SIZE, SIZE))
    for r in np.linspace(-3, 5, 25):  # short pale tail, long tip
        x, y = cx + r * math.cos(angle), cy + r * math.sin(angle)
        weight = 1.0 if r > 0 else 0.5
        img = np.maximum(img, weight * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 1.2))
    return img + 0.08 * np.random.randn(SIZE, SIZE)


angles = np.random.uniform(0, 2 * math.pi, 1300)
images = torch.from_numpy(np.array([draw(a) for a in angles])).float().unsqueeze(1)
targets = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], axis=1)).float()
x_train, x_valid = images[:1000], images[1000:]
y_train, y_valid = targets[:1000], targets[1000:]


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 3)
        self.fc1 = nn.Linear(20 * 3 * 3, 50)
        self.fc2 = nn.Linear(50, 2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x))
        x = x.view(-1, 20 * 3 * 3)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


def degrees_off(out, target):
    a = torch.atan2(out[:, 1], out[:, 0])
    b = torch.atan2(target[:, 1], target[:, 0])
    d = (a - b + math.pi) % (2 * math.pi) - math.pi
    return d.abs().mean().item() * 180 / math.pi


n_epoch = 12
batch_size = 40
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.002)

for epoch in range(n_epoch):
    permutation = torch.randperm(x_train.size()[0])
    train_loss = []
    model.train()
    for i in range(0, x_train.size()[0], batch_size):
        optimizer.zero_grad()
        indices = permutation[i : i + batch_size]
        batch_x, batch_y = x_train[indices], y_train[indices]
        outputs = model(batch_x)
        loss = F.mse_loss(outputs, batch_y)
        loss.backward()
        optimizer.step()
        train_loss.append(loss.item())
    model.eval()
    with torch.no_grad():
        off = degrees_off(model(x_valid), y_valid)
    print("epoch : ", epoch + 1, "\t", "loss : %.4f" % np.mean(train_loss), "\t", "valid, degrees off : %.1f" % off)
