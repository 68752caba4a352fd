# Lotto slips: read the handwritten digits with few labels.
# Step 1: network for all the digits, saved.  Step 2: new head on top of it for the slips (transfer learning)
import os
import random
import tempfile
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

digits = load_digits()
X = torch.tensor(digits.data / 16.0, dtype=torch.float32)
y = torch.tensor(digits.target)
perm = torch.randperm(len(X))
X, y = X[perm], y[perm]
X1, y1 = X[:1000], y[:1000]          # big set
X2, y2 = X[1000:1120], y[1000:1120]  # the slips with a label
X3, y3 = X[1120:], y[1120:]          # the slips to read


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Linear(64, 64), nn.ReLU(),
            nn.Linear(64, 32), nn.ReLU(),
            nn.Linear(32, 12), nn.ReLU(),
        )
        self.classifier = nn.Linear(12, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


class SlipNet(nn.Module):
    """same body as DigitNet, the head has a hidden layer"""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(64, 64), nn.ReLU(),
            nn.Linear(64, 32), nn.ReLU(),
            nn.Linear(32, 12), nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 10))

    def forward(self, x):
        return self.head(self.backbone(x))


def batches(n, size):
    p = torch.randperm(n)
    return [p[i:i + size] for i in range(0, n, size)]


def acc(net, x, t):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == t).float().mean().item()


def fit(net, params, x, t, epochs, bs, lr, name):
    opt = torch.optim.Adam(params, lr=lr)
    for e in range(epochs):
        net.train()
        s = 0
        for b in batches(len(x), bs):
            loss = F.cross_entropy(net(x[b]), t[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
            s += loss.item() * len(b)
        if (e + 1) % (epochs // 4) == 0:
            print(name, "epoch", e + 1, "loss %.4f" % (s / len(x)))


# ---------- step 1 ----------
net1 = DigitNet()
fit(net1, net1.parameters(), X1, y1, epochs=40, bs=32, lr=0.002, name="digits")
print("digits: accuracy on the rest %.3f" % acc(net1, X3, y3))
path = os.path.join(tempfile.mkdtemp(), "digits.pth")
torch.save(net1.state_dict(), path)

# ---------- step 2 ----------
net2 = SlipNet()
state = torch.load(path)
# the head is not in the file, therefore strict=False
net2.load_state_dict(state, strict=False)
for p in net2.backbone.parameters():
    p.requires_grad = False
fit(net2, net2.head.parameters(), X2, y2, epochs=80, bs=16, lr=0.005, name="slips")

print("slips: train accuracy %.3f" % acc(net2, X2, y2))
print("slips: test accuracy %.4f" % acc(net2, X3, y3))
