# shore crabs: species + moult stage from the measuring table
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
rng = np.random.default_rng(11)

# ---- table -------------------------------------------------------------
n = 3600
species = rng.integers(0, 3, n)
age = rng.uniform(0, 1, n)
stage = np.minimum((age * 6).astype(int), 5)

growth = np.array([0.8, 1.0, 1.3])[species]
width = 20 + 30 * growth * np.sqrt(age) + rng.normal(0, 1.0, n)
claw = 6 + 9 * growth * age ** 1.5 + rng.normal(0, 0.4, n)
weight = 0.002 * width ** 2.6 * np.exp(rng.normal(0, 0.05, n))
hard = np.sin(5 * age) + 0.3 * species + rng.normal(0, 0.08, n)
colour = np.cos(4 * age + species) + rng.normal(0, 0.08, n)
spines = np.array([3, 4, 5])[species] + rng.normal(0, 0.7, n)
depth = rng.gamma(2.0, 3.0, n)

X = np.stack([width, claw, np.log(weight), hard, colour, spines, depth], 1)
idx = rng.permutation(n)
tr, te = idx[:2800], idx[2800:]
mu, sd = X[tr].mean(0), X[tr].std(0)
X = torch.tensor((X - mu) / sd, dtype=torch.float32)
y_sp = torch.tensor(species)
y_st = torch.tensor(stage)
tr, te = torch.tensor(tr), torch.tensor(te)


# ---- model -------------------------------------------------------------
class CrabNet(nn.Module):
    def __init__(self, d, h=64, stages=6):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
        self.species = nn.Linear(h, 3)
        self.stage = nn.Linear(h, stages)

    def forward(self, x):
        h = self.body(x)
        return self.species(h), self.stage(h)


def stage_value(z):
    """stage number out of the six scores"""
    return (F.softmax(z, 1) * torch.arange(z.shape[1])).sum(1)


def two_losses(x, sp, st):
    a, b = net(x)
    l_sp = F.cross_entropy(a, sp)
    # stages are ordered, being off by one is better than by four
    l_st = F.smooth_l1_loss(stage_value(b), st.float())
    return l_sp, l_st


def report():
    net.eval()
    with torch.no_grad():
        a, b = net(X[te])
        acc = (a.argmax(1) == y_sp[te]).float().mean().item()
        mae = (stage_value(b) - y_st[te]).abs().mean().item()
    net.train()
    return acc, mae


# ---- training ----------------------------------------------------------
net = CrabNet(X.shape[1])
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
bs = 64

for epoch in range(30):
    order = tr[torch.randperm(len(tr))]
    sums = np.zeros(2)
    k = 0
    for i in range(0, len(order), bs):
        b = order[i:i + bs]
        l1, l2 = two_losses(X[b], y_sp[b], y_st[b])
        loss = l1 + l2
        opt.zero_grad()
        loss.backward()
        opt.step()
        sums += [l1.item(), l2.item()]
        k += 1
    if epoch % 5 == 4:
        acc, mae = report()
        print(f"epoch {epoch + 1:2d}  species loss {sums[0] / k:.3f}  stage loss {sums[1] / k:.3f}  acc {acc:.3f}  mae {mae:.3f}")

base = (y_st[te].float() - y_st[tr].float().mean()).abs().mean().item()
acc, mae = report()
print(f"mean guess mae {base:.3f}")
print(f"species accuracy {acc:.4f}")
print(f"stage mae {mae:.4f}")
