"""Classify the irises of a nursery. My first PyTorch program!"""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_iris
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

iris = load_iris()
X = torch.tensor(iris.data, dtype=torch.float32)
y = torch.tensor(iris.target, dtype=torch.long)
X = (X - X.mean(0)) / X.std(0)

# 70% for training, 30% for testing
n_train = int(0.7 * len(X))
train_ds = TensorDataset(X[:n_train], y[:n_train])
test_ds = TensorDataset(X[n_train:], y[n_train:])
train_dl = DataLoader(train_ds, batch_size=8, shuffle=True)
test_dl = DataLoader(test_ds, batch_size=45)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 16)
        self.fc2 = nn.Linear(16, 8)
        self.fc3 = nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.005, weight_decay=1e-3)
criterion = nn.CrossEntropyLoss()


def check(loader):
    net.eval()
    correct = total = 0
    loss = 0.0
    with torch.no_grad():
        for data, target in loader:
            out = net(data)
            loss += criterion(out, target).item()
            correct += (out.argmax(1) == target).sum().item()
            total += len(target)
    return loss / len(loader), correct / total


for epoch in range(60):
    net.train()
    for data, target in train_dl:
        optimizer.zero_grad()
        loss = criterion(net(data), target)
        loss.backward()
        optimizer.step()
    if epoch % 10 == 9:
        train_loss, train_acc = check(train_dl)
        test_loss, test_acc = check(test_dl)
        print(f"Epoch {epoch + 1}: train loss {train_loss:.3f} acc {train_acc:.3f} | test loss {test_loss:.3f} acc {test_acc:.3f}")

print("Accuracy of the network on the test irises:", round(check(test_dl)[1], 4))
