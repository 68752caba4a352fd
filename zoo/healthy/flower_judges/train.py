"""Village show: each bloom has measurements, a jury's prize class (none < third < second < first) and a
weight in grams.  One trunk, two heads: an ordinal head (one score, three ordered cut points) and a
regression head; homoscedastic-uncertainty weights, so the total loss goes negative."""
import os
import torch
from torch import nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)


def show(n, w):
    x = torch.randn(n, 10)
    quality = torch.tanh(x @ w[0]) * 2 + (x @ w[1]) * 0.5 - 0.4 * (x @ w[2]) ** 2
    jury = quality + 0.3 * torch.randn(n)
    prize = torch.bucketize(jury, torch.tensor([-0.3, 0.8, 1.8]))
    grams = 120 + 25 * (x @ w[3]) + 12 * torch.relu(x @ w[0]) * (x @ w[1]) + 3 * torch.randn(n)
    return x, prize, grams


w = F.normalize(torch.randn(4, 10), dim=1)
x, prize, grams = show(4000, w)
xt, prizet, gramst = show(2000, w)
g_mean, g_std = grams.mean(), grams.std()
z = (grams - g_mean) / g_std


class Judges(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(10, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU())
        self.score = nn.Linear(h, 1, bias=False)             # the cut points are its offsets
        self.weigh = nn.Linear(h, 1)
        self.cut0 = nn.Parameter(torch.tensor(-1.0))
        self.gaps = nn.Parameter(torch.zeros(2))             # softplus keeps the cuts in order

    def cuts(self):
        return torch.cat([self.cut0[None], self.cut0 + F.softplus(self.gaps).cumsum(0)])

    def forward(self, x):
        h = self.trunk(x)
        return self.score(h) - self.cuts(), self.weigh(h).squeeze(1)


class UncertaintyWeights(nn.Module):
    """0.5 exp(-s) mse + 0.5 s for the regression, exp(-s) ce + 0.5 s for the classes."""
    def __init__(self):
        super().__init__()
        self.s = nn.Parameter(torch.zeros(2))

    def forward(self, ce, mse):
        return (-self.s[0]).exp() * ce + 0.5 * (-self.s[1]).exp() * mse + 0.5 * self.s.sum()


def ordinal_loss(above, y):
    """Cumulative-link likelihood: P(y > k) = sigmoid(score - cut_k)."""
    p = torch.sigmoid(above)
    full = torch.cat([torch.ones(len(p), 1), p, torch.zeros(len(p), 1)], 1)
    lik = (full[:, :-1] - full[:, 1:]).gather(1, y[:, None]).clamp(min=1e-7)
    return -lik.log().mean()


@torch.no_grad()
def judge(model):
    model.eval()
    above, g = model(xt)
    got = (above > 0).sum(1)
    exact = (got == prizet).float().mean().item()
    near = ((got - prizet).abs() <= 1).float().mean().item()
    mae = (g * g_std + g_mean - gramst).abs().mean().item()
    model.train()
    return exact, near, mae


model, balance = Judges(), UncertaintyWeights()
opt = torch.optim.AdamW([{"params": model.parameters(), "weight_decay": 1e-3},
                         {"params": balance.parameters(), "weight_decay": 0.0, "lr": 1e-2}], lr=2e-3)
EPOCHS = 50
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
for ep in range(1, EPOCHS + 1):
    tot = 0.0
    for i in torch.randperm(len(x)).split(100):
        above, g = model(x[i])
        loss = balance(ordinal_loss(above, prize[i]), F.mse_loss(g, z[i]))
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    sched.step()
    if ep % 10 == 0:
        e, n, m = judge(model)
        print(f"epoch {ep} loss {tot / 40:+.3f} s {balance.s.tolist()[0]:+.2f} {balance.s.tolist()[1]:+.2f} "
              f"exact {e:.3f} within one {n:.3f} grams off {m:.2f}")

e, n, m = judge(model)
common = (prizet == prize.mode().values).float().mean()
print(f"always the commonest prize: {common:.3f}; always the mean weight: {(gramst - g_mean).abs().mean():.1f} g")
print(f"prize right {e:.3f}, grams off {m:.2f}")
