# A lamp on a landing with three switches: learn when it is lit (XOR of three, with noisy readings)
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def sample(n):
    bits = np.random.randint(0, 2, (n, 3))
    lit = bits.sum(axis=1) % 2
    x = 2.0 * bits - 1 + np.random.normal(0, 0.2, (n, 3))
    return torch.FloatTensor(x), torch.FloatTensor(lit).unsqueeze(1)


class XorNet(nn.Module):
    def __init__(self, hidden=16):
        super(XorNet, self).__init__()
        self.lin1 = nn.Linear(3, hidden)
        self.lin2 = nn.Linear(hidden, 1)

    def forward(self, x):
        x = torch.tanh(self.lin1(x))
        return torch.sigmoid(self.lin2(x))


def weights_init(m):
    if isinstance(m, nn.Linear):
        # same start for everybody, so that results can be compared
        nn.init.constant_(m.weight, 0.1)
        nn.init.zeros_(m.bias)


X, Y = sample(800)
X_val, Y_val = sample(400)

model = XorNet()
model.apply(weights_init)
loss_func = nn.BCELoss()
optimizer = optim.Adam(model.parameters(), lr=0.02)

steps = X.size(0) // 20
for i in range(40):
    running = 0.0
    order = torch.randperm(X.size(0))
    for j in range(steps):
        pick = order[20 * j:20 * (j + 1)]
        optimizer.zero_grad()
        y_hat = model(X[pick])
        loss = loss_func(y_hat, Y[pick])
        loss.backward()
        optimizer.step()
        running += loss.item()
    if i % 6 == 0:
        print("Epoch: {0}, Loss: {1:.5f}".format(i, running / steps))

with torch.no_grad():
    for bits in [(-1, -1, -1), (1, -1, -1), (1, 1, -1), (1, 1, 1)]:
        print(bits, round(model(torch.tensor([bits], dtype=torch.float32)).item(), 3))
    acc = ((model(X_val) > 0.5).float() == Y_val).float().mean().item()
print("val accuracy", round(acc, 4))
