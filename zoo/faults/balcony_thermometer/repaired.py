# coding: utf-8
# Temperature on my balcony: 24 hours in, the next hour out.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable

np.random.seed(3)
torch.manual_seed(3)

# --- data -------------------------------------------------------------
n_hours = 24 * 130
t = np.arange(n_hours)
weather = np.zeros(n_hours)
for i in range(1, n_hours):
    weather[i] = 0.97 * weather[i - 1] + 0.45 * np.random.randn()
temp = 7 + 6 * np.sin(2 * np.pi * t / (24 * 40)) + 4 * np.sin(2 * np.pi * (t - 9) / 24) + weather

split = int(n_hours * 0.75)
mean, std = temp[:split].mean(), temp[:split].std()
series = (temp - mean) / std

SEQ = 24


def windows(s):
    xs, ys = [], []
    for i in range(len(s) - SEQ):
        xs.append(s[i : i + SEQ])
        ys.append(s[i + SEQ])
    return torch.Tensor(np.array(xs)), torch.Tensor(np.array(ys)).view(-1, 1)


x_train, y_train = windows(series[:split])
x_test, y_test = windows(series[split:])
print("train", x_train.size(), "test", x_test.size())


# --- model ------------------------------------------------------------
class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(SEQ, 40)
        self.fc2 = nn.Linear(40, 20)
        self.fc3 = nn.Linear(20, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        return x


net = Net()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

# --- training ---------------------------------------------------------
batch_size = 32
for epoch in range(15):
    perm = torch.randperm(x_train.size(0))
    total = 0.0
    n_batches = 0
    for i in range(0, x_train.size(0), batch_size):
        idx = perm[i : i + batch_size]
        inputs, labels = Variable(x_train[idx]), Variable(y_train[idx])
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        total += loss.item()
        n_batches += 1
    print("Epoch %2d  loss %.4f" % (epoch + 1, total / n_batches))

# --- test -------------------------------------------------------------
net.eval()
with torch.no_grad():
    pred = net(x_test)
error = (pred - y_test).numpy() * std
print("test RMSE %.3f degrees" % np.sqrt((error**2).mean()))
