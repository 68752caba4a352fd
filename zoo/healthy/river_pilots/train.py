"""Four stretches of a river behave by four laws; a sparse mixture of pilots (top-1 experts, a
load-balancing loss as in Switch) predicts the time of passage.  In a given batch some experts may
see no boat at all, and then their gradient is None for that step."""
import os
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(int(os.environ.get("SEED", "0")))


def boats(n):
    km = torch.randint(4, (n,)) + 0.05 + 0.9 * torch.rand(n)     # nobody is timed inside a lock
    load = torch.rand(n) * 2 - 1
    wind = torch.rand(n) * 2 - 1
    stretch = km.long()
    laws = torch.stack([2 * load, torch.sin(3 * wind) - load, 3 * wind * load, wind.abs() * 3 - 1.5], 1)
    t = laws.gather(1, stretch[:, None]).squeeze(1) + 0.1 * torch.randn(n)
    turns = [f(km * math.pi * k) for k in (0.5, 1.0) for f in (torch.sin, torch.cos)]
    feats = torch.stack([*turns, km - 2, load, wind], 1)
    return feats, t, stretch


class Pilots(nn.Module):
    def __init__(self, n_experts=5, hidden=32):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(7, 32), nn.Tanh(), nn.Linear(32, n_experts))
        self.jitter = 0.3                                      # exploration, annealed from outside
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(7, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
            for _ in range(n_experts))

    def forward(self, x):
        logits = self.gate(x)
        if self.training:
            logits = logits + self.jitter * torch.randn_like(logits)
        p = logits.softmax(1)
        w, who = p.max(1)
        out = torch.zeros(len(x))
        for k, expert in enumerate(self.experts):
            rows = (who == k).nonzero().squeeze(1)
            if len(rows) == 0:
                continue
            out = out.index_copy(0, rows, expert(x[rows]).squeeze(1) * w[rows])
        share = F.one_hot(who, p.shape[1]).float().mean(0)
        balance = p.shape[1] * (share * p.mean(0)).sum()     # 1.0 when even: never goes below about 1
        return out, balance, who


model = Pilots()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
xtr, ttr, _ = boats(6000)
xte, tte, ste = boats(3000)
sched = torch.optim.lr_scheduler.MultiStepLR(opt, [22, 30], gamma=0.3)
for epoch in range(36):
    model.train()
    model.jitter = 0.3 * max(0.0, 1 - epoch / 18)
    se = ba = n = 0
    for i in torch.randperm(6000).split(100):
        y, balance, _ = model(xtr[i])
        mse = F.mse_loss(y, ttr[i])
        (mse + 0.02 * balance).backward()
        opt.step()
        opt.zero_grad(set_to_none=True)
        se, ba, n = se + mse.item(), ba + balance.item(), n + 1
    sched.step()
    if epoch % 9 == 8:
        print(f"epoch {epoch + 1} mse {se / n:.4f} balance {ba / n:.3f}")

model.eval()
with torch.no_grad():
    y, _, who = model(xte)
    mse = F.mse_loss(y, tte).item()
for s in range(4):
    print(f"stretch {s}: boats per pilot {torch.bincount(who[ste == s], minlength=5).tolist()}")
print(f"test mse {mse:.4f} (noise 0.0100, variance {tte.var():.3f}); R2 {1 - mse / tte.var().item():.4f}")
