"""Digits with dropout and batch normalization, measured after each epoch."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.drop = nn.Dropout(0.25)
        self.fc = nn.Linear(32 * 9, 10)

    def forward(self, x):
        x = F.relu(self.bn(self.conv1(x)))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(self.drop(x.flatten(1)))


def train_epoch(model, optimizer, x, y):
    model.train()
    for rows in np.array_split(np.random.permutation(len(x)), 25):
        optimizer.zero_grad()
        output = model(x[rows])
        loss = F.cross_entropy(output, y[rows])
        loss.backward()
        optimizer.step()
    return loss.item()


def test(model, x, y):
    model.eval()
    with torch.no_grad():
        output = model(x)
    return F.cross_entropy(output, y).item(), (output.argmax(1) == y).float().mean().item()


np.random.seed(11)
torch.manual_seed(11)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1).sub(4.9).div(6.0)
x_train, x_test, y_train, y_test = train_test_split(x, torch.tensor(digits.target), test_size=0.2, random_state=11)
model = Net()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(4):
    loss = train_epoch(model, optimizer, x_train, y_train)
    print(f"{epoch}: train {loss:.3f}, test {test(model, x_test, y_test)}, dropout on: {model.drop.training}")
