# Will there be frost tonight? evening readings of 8 sensors -> dense net
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(16); np.random.seed(16); torch.manual_seed(16)


def evening(n):
    season = np.random.uniform(0, 1, n)
    temp = 9 - 7 * np.cos(2 * np.pi * season) + np.random.normal(0, 3, n)
    humidity = np.clip(np.random.normal(70, 14, n), 20, 100)
    pressure = np.random.normal(1013, 9, n)
    wind = np.random.gamma(2.0, 4.0, n)
    cloud = np.random.beta(0.7, 0.7, n) * 8
    soil = temp + np.random.normal(2, 1.0, n)
    dew = temp - (100 - humidity) / 5
    altitude = np.random.uniform(50, 700, n)
    drop = 7.5 - 0.7 * cloud - 0.12 * wind + 0.08 * (pressure - 1013) + (altitude - 300) / 150
    night = 0.5 * temp + 0.3 * soil + 0.2 * dew - drop + np.random.normal(0, 0.6, n)
    X = np.stack([temp, humidity, pressure, wind, cloud, soil, dew, altitude], axis=1)
    return X, (night < 0).astype(np.int64)


X, y = evening(4000)
split = 3000
X_train, X_test = X[:split], X[split:]
y_train, y_test = y[:split], y[split:]

# standardise the inputs
mu = X_train.mean(axis=0)
sigma = X_train.std(axis=0)
X_train = (X_train - mu) / sigma

X_train_t = torch.FloatTensor(X_train)
y_train_t = torch.LongTensor(y_train)
X_val_t, y_val_t = X_train_t[2500:], y_train_t[2500:]
X_train_t, y_train_t = X_train_t[:2500], y_train_t[:2500]
X_test_t = torch.FloatTensor(X_test)
y_test_t = torch.LongTensor(y_test)


class FrostNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 48)
        self.fc2 = nn.Linear(48, 24)
        self.fc3 = nn.Linear(24, 2)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        x = self.drop(F.relu(self.fc1(x)))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


net = FrostNet()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)


def score(inputs, targets):
    net.eval()
    with torch.no_grad():
        out = net(inputs)
        return F.cross_entropy(out, targets).item(), (out.argmax(1) == targets).float().mean().item()


for epoch in range(1, 21):
    net.train()
    for idx in torch.randperm(len(X_train_t)).split(32):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(X_train_t[idx]), y_train_t[idx])
        loss.backward()
        optimizer.step()
    val_loss, val_acc = score(X_val_t, y_val_t)
    scheduler.step(val_loss)
    if epoch % 5 == 0:
        print("epoch", epoch, "val loss", round(val_loss, 4), "val acc", round(val_acc, 4))

test_loss, test_acc = score(X_test_t, y_test_t)
print("frost share in the test set", y_test.mean())
print("test loss %.4f  test accuracy %.4f" % (test_loss, test_acc))
