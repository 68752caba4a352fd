"""Which of 200 genes change the dose that a patient needs? Few patients, few true genes."""
import numpy as np
import torch
from torch import nn

GENES, TRUE = 200, 6


def cohort(n, effect, rng):
    x = rng.standard_normal((n, GENES)).astype(np.float32)
    y = x @ effect + 0.3 * rng.standard_normal(n)
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.float32)).unsqueeze(1)


class DoseModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(GENES, 1)

    def forward(self, x):
        return self.linear(x)

    def penalty(self):
        return self.linear.weight.abs().sum()


def fit(model, x, y, strength, steps, lr):
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    mse = nn.MSELoss()
    for step in range(1, steps + 1):
        rows = torch.randperm(len(x))[:32]
        loss = mse(model(x[rows]), y[rows]) + strength * model.penalty()
        opt.zero_grad()
        loss.backward()
        opt.step()
        plan.step()
        if step % 300 == 0:
            print(f"step {step:4d} objective {loss.item():.4f}")


rng = np.random.default_rng(2)
torch.manual_seed(2)
effect = np.zeros(GENES)
effect[rng.choice(GENES, TRUE, replace=False)] = rng.choice([-1, 1], TRUE) * rng.uniform(0.6, 1.2, TRUE)
x, y = cohort(90, effect, rng)
x_new, y_new = cohort(500, effect, rng)
model = DoseModel()
fit(model, x, y, strength=0.15, steps=1500, lr=0.01)
with torch.no_grad():
    error = (model(x_new) - y_new).pow(2).mean().item()
    kept = (model.linear.weight.abs() > 0.02).sum().item()
print(f"genes kept {kept}, error on new patients {error:.4f}, variance of their doses {y_new.var().item():.4f}")
