import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(5)
torch.manual_seed(5)


def cells(n):
    """Capacity curves of cells: early cycles as input; remaining life and whether it fails early."""
    rate = np.random.gamma(4, 0.25, (n, 1))
    knee = np.random.uniform(0.2, 1.0, (n, 1))
    temp = np.random.uniform(-1, 1, (n, 1))
    cyc = np.linspace(0, 1, 20)
    cap = 1 - 0.1 * rate * cyc - 0.2 * np.maximum(cyc - knee, 0) * (1 + 0.5 * temp) + 0.004 * np.random.randn(n, 20)
    life = np.log(1.2 / rate) + 0.8 * knee - 0.3 * temp
    x = np.hstack([(cap - 0.95) / 0.05, temp])
    early = (life < 0.6).astype(np.float32)
    f = lambda v: torch.from_numpy(v.astype(np.float32))
    return f(x), f(life - 0.7), f(early)


class LifeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(21, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.life = nn.Linear(64, 1)
        self.early = nn.Linear(64, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.life(h), self.early(h)


xs, life, early = cells(2000)
xv, life_v, early_v = cells(500)
net = LifeNet()
optim = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-5)

for epoch in range(15):
    order = torch.randperm(len(xs))
    net.train()
    for b in range(0, len(xs), 64):
        i = order[b:b + 64]
        out_life, out_early = net(xs[i])
        loss = F.smooth_l1_loss(out_life, life[i]) + F.binary_cross_entropy_with_logits(out_early, early[i])
        optim.zero_grad()
        loss.backward()
        optim.step()
    net.eval()
    with torch.no_grad():
        pl, pe = net(xv)
        r2 = 1 - ((pl - life_v) ** 2).mean() / life_v.var()
        acc = ((pe > 0).float() == early_v).float().mean()
    print("epoch %d  loss %.4f  early acc %.3f  life r2 %.4f" % (epoch, loss.item(), acc, r2))
