"""Peat cores: one spectrum per slice, three quantities of interest.

From the mid-infrared spectrum of a slice: humification index (regression), vegetation type (4 classes), and whether the
slice was above the water table (binary). The three share a trunk; its gradient is the sum over tasks, averaged here
so that adding a task does not change the effective rate of the shared part.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)
rng = np.random.default_rng(12)

N_BANDS, N_VEG, N_TASKS = 48, 4, 3


def spectra(n):
    """Gaussian absorption bands whose heights and shifts are driven by decay d, moisture m and plant mixture."""
    nu = np.linspace(0, 1, N_BANDS)
    d, m = rng.uniform(-1, 1, n), rng.uniform(-1, 1, n)
    veg = rng.integers(0, N_VEG, n)
    S = np.zeros((n, N_BANDS))
    for centre, a_d, a_m in [(.15, .8, .3), (.35, -.6, .5), (.55, .4, -.8), (.8, -.3, -.6)]:
        shift = 0.03 * d * m
        S += (1 + a_d * d + a_m * m)[:, None] * np.exp(-0.5 * ((nu - centre - shift[:, None]) / 0.05) ** 2)
    marker = np.array([.25, .45, .65, .9])[veg] + 0.05 * d
    S += 0.35 * np.exp(-0.5 * ((nu - marker[:, None]) / 0.02) ** 2)
    S = S * rng.uniform(0.7, 1.3, (n, 1)) + 0.02 * rng.standard_normal(S.shape)
    humification = np.sin(5.0 * d) + d * m
    aerobic = (np.sin(4.0 * d) * np.sin(3.0 * m) > 0.0).astype(float)
    return S, humification, veg, aerobic


class SharedTrunk(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:]))

    def forward(self, s):
        for W in self.layers:
            s = torch.tanh(W(s))
        return s


class PeatNet(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.trunk = SharedTrunk(widths)
        self.humification = nn.Linear(widths[-1], 1)
        self.vegetation = nn.Linear(widths[-1], N_VEG)
        self.aerobic = nn.Linear(widths[-1], 1)

    def forward(self, s):
        h = self.trunk(s)
        return self.humification(h).squeeze(1), self.vegetation(h), self.aerobic(h).squeeze(1)


def joint_loss(out, h, v, a):
    return F.mse_loss(out[0], h) + F.cross_entropy(out[1], v) + F.binary_cross_entropy_with_logits(out[2], a)


def run_epoch(model, optimizer, data, batch):
    model.train()
    handles = [p.register_hook(lambda g: g / N_TASKS) for p in model.trunk.parameters()]
    total = 0.0
    order = torch.randperm(len(data[0]))
    for rows in order.split(batch):
        S, h, v, a = (x[rows] for x in data)
        loss = joint_loss(model(S), h, v, a)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    for handle in handles:
        handle.remove()
    return total / len(order)


@torch.no_grad()
def assess(model, data):
    model.eval()
    S, h, v, a = data
    h_hat, v_hat, a_hat = model(S)
    r2 = 1 - ((h - h_hat) ** 2).mean() / h.var(unbiased=False)
    return r2.item(), (v_hat.argmax(1) == v).float().mean().item(), ((a_hat > 0) == (a > 0.5)).float().mean().item()


S, h, v, a = spectra(3000)
mu, sd = S[:2400].mean(0), S[:2400].std(0)
S = torch.tensor((S - mu) / sd, dtype=torch.float32)
h, a, v = torch.tensor(h, dtype=torch.float32), torch.tensor(a, dtype=torch.float32), torch.tensor(v)
train, test = [x[:2400] for x in (S, h, v, a)], [x[2400:] for x in (S, h, v, a)]

model = PeatNet([N_BANDS, 64, 32, 12])
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
for epoch in range(40):
    loss = run_epoch(model, optimizer, train, batch=60)
    if epoch % 8 == 7:
        print(f"epoch {epoch + 1:2d}  joint loss {loss:.4f}")

r2, acc_v, acc_a = assess(model, test)
print(f"humification R2 {r2:.4f}, vegetation accuracy {acc_v:.4f}, aerobic accuracy {acc_a:.4f}")
print(f"mean test score {(r2 + acc_v + acc_a) / 3:.4f}")
