# Juggling trick classifier. Six IMU channels (3 accelerometer, 3 gyroscope), 48 samples per throw cycle.
# Cells of our Colab, in order.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(6)
torch.manual_seed(6)

TRICKS = ["cascade", "fountain", "shower", "mills mess", "columns"]
T, C = 48, 6

# cell 2 ---------------------------------------------------------------
style = np.random.RandomState(123)
lag = style.uniform(0, 2 * np.pi, (len(TRICKS), C))
harmonic = style.uniform(0.2, 1.0, (len(TRICKS), C))


def throw(k):
    t = np.linspace(0, 2 * np.pi * 2, T)[:, None] + np.random.uniform(0, 2 * np.pi)
    t = t * np.random.uniform(0.9, 1.1)
    wave = np.sin(t + lag[k]) + harmonic[k] * np.sin(2 * t + 2 * lag[k])
    gain = 1 + 0.15 * np.random.randn(1, C)
    return gain * wave + 1.7 * np.random.randn(T, C)


def session(n):
    y = np.random.randint(0, len(TRICKS), n)
    x = np.stack([throw(k) for k in y])  # n x T x C
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


x_train, y_train = session(900)
x_test, y_test = session(400)
mean, std = x_train.mean((0, 1)), x_train.std((0, 1))
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std


# cell 3 ---------------------------------------------------------------
class TrickNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(C, 32, 5, padding=2)
        self.bn1 = nn.BatchNorm1d(32)
        self.conv2 = nn.Conv1d(32, 32, 5, padding=2)
        self.bn2 = nn.BatchNorm1d(32)
        self.fc = nn.Linear(32, len(TRICKS))

    def forward(self, x):
        x = x.transpose(1, 2)  # Conv1d wants channels first
        x = F.max_pool1d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean(-1))


# cell 4 ---------------------------------------------------------------
net = TrickNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(14):
    net.train()
    p = torch.randperm(900)
    tot = 0
    for b in range(0, 900, 60):
        xb, yb = x_train[p[b:b + 60]], y_train[p[b:b + 60]]
        opt.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item()
    net.eval()
    with torch.no_grad():
        test_acc = (net(x_test).argmax(1) == y_test).float().mean().item()
    print("epoch %d  loss %.3f  test acc %.3f" % (epoch + 1, tot / 15, test_acc))
