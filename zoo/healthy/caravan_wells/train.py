"""Depth of desert wells: several geological regimes, one expert per row, picked by a router."""
from collections import Counter

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(19)
EXPERTS = 4


def survey(n):
    x = torch.rand(n, 8) * 4 - 2
    regime = (x[:, 0] > 0).long() * 2 + (x[:, 1] > 0).long()
    slopes = torch.tensor([[3.0, -1, 0, 2], [-2, 2, 1, -1], [0, -3, 2, 1], [1, 1, -3, -2]])
    depth = (slopes[regime] * x[:, 2:6]).sum(1) + torch.tensor([4.0, -2, 0, 2])[regime]
    return x, depth + torch.sin(2 * x[:, 6]) + 0.2 * torch.randn(n)


class Expert(nn.Sequential):
    def __init__(self, n_in):
        super().__init__(nn.Linear(n_in, 32), nn.GELU(), nn.Linear(32, 1))


class SwitchRegressor(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.router = nn.Sequential(nn.Linear(n_in, 32), nn.GELU(), nn.Linear(32, EXPERTS))
        self.experts = nn.ModuleList(Expert(n_in) for _ in range(EXPERTS))
        self.common = nn.Linear(n_in, 1)

    def forward(self, x):
        logits = self.router(x)
        if self.training:
            logits = logits + 1.0 * torch.randn_like(logits)
        gate = F.softmax(logits, dim=1)
        top, choice = gate.max(dim=1)
        y = self.common(x).squeeze(1)
        for k, expert in enumerate(self.experts):
            rows = (choice == k).nonzero().squeeze(1)
            if len(rows):
                y = y.index_add(0, rows, top[rows] * expert(x[rows]).squeeze(1))
        share = F.one_hot(choice, EXPERTS).float().mean(0)
        balance = EXPERTS * (share * gate.mean(0)).sum()
        return y, balance


x, y = survey(6000)
x_train, x_val, x_test = x[:4400], x[4400:5000], x[5000:]
y_train, y_val, y_test = y[:4400], y[4400:5000], y[5000:]
x_mu, x_sd, y_mu, y_sd = x_train.mean(0), x_train.std(0), y_train.mean(), y_train.std()
x_train, x_val, x_test = ((t - x_mu) / x_sd for t in (x_train, x_val, x_test))
y_train, y_val, y_test = ((t - y_mu) / y_sd for t in (y_train, y_val, y_test))

model = SwitchRegressor(x.shape[1])
traffic = Counter()
for name, expert in enumerate(model.experts):
    expert.register_forward_hook(lambda module, args, out, name=name: traffic.update({name: len(out)}))

EPOCHS = 30
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * len(loader))


@torch.no_grad()
def r2(inputs, target):
    model.eval()
    return (1 - F.mse_loss(model(inputs)[0], target) / target.var(unbiased=False)).item()


for epoch in range(EPOCHS):
    model.train()
    traffic.clear()
    total = 0.0
    for xb, yb in loader:
        pred, balance = model(xb)
        fit = F.mse_loss(pred, yb)
        loss = fit + 0.1 * balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += fit.item() * len(yb)
    if epoch % 7 == 0 or epoch == EPOCHS - 1:
        shares = " ".join(f"{traffic[k] / len(y_train):.2f}" for k in range(EXPERTS))
        print(f"epoch {epoch:2d}  train mse {total / len(y_train):.4f}  val R2 {r2(x_val, y_val):.3f}  shares {shares}")

design = torch.cat([x_train, torch.ones(len(x_train), 1)], dim=1)
weights = torch.linalg.lstsq(design, y_train.unsqueeze(1)).solution
linear = torch.cat([x_test, torch.ones(len(x_test), 1)], dim=1) @ weights
linear_r2 = 1 - F.mse_loss(linear.squeeze(1), y_test) / y_test.var(unbiased=False)
print(f"test R2 {r2(x_test, y_test):.4f}, linear model {linear_r2:.4f}")
