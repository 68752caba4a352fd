"""How long until a repaired clock comes back?  1500 clocks, many still running (censored).

Cox partial likelihood (Breslow) with a small net for the log-risk.  The likelihood compares every clock
with all that were still running, so a step uses the whole workshop at once, sorted by time.  No output
bias: the partial likelihood cannot see one.
"""
import os
import numpy as np
import torch
from torch import nn

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)
rng = np.random.default_rng(100 + seed)


def workshop(n):
    x = rng.normal(size=(n, 8))
    x[:, 6] = rng.random(n) < 0.3                   # striking clock or not
    x[:, 7] = rng.integers(0, 4, n)                 # grade of the oil
    risk = 1.2 * np.abs(x[:, 0]) + 0.9 * x[:, 1] * x[:, 6] + 0.8 * np.sin(2 * x[:, 2]) - 0.3 * x[:, 7]
    life = (rng.exponential(size=n) / np.exp(risk)) ** (1 / 1.5) * 10
    seen = rng.uniform(2, 22, n)                    # how long ago the clock left the shop
    return (x.astype("float32"), np.minimum(life, seen).astype("float32"), (life <= seen), risk)


def sort_by_time(x, t, e):
    o = np.argsort(-t)                              # longest first: the risk set comes first
    return torch.from_numpy(x[o]), torch.from_numpy(t[o]), torch.from_numpy(e[o])


def breslow(logrisk, event):
    return -((logrisk - torch.logcumsumexp(logrisk, 0))[event]).mean()


def concordance(score, t, e):
    t, e, score = (np.asarray(v) for v in (t, e, score))
    first = (t[:, None] < t[None]) & e[:, None]
    good = (score[:, None] > score[None]) & first
    return good.sum() / first.sum()


x, t, e, _ = workshop(1500)
xv, tv, ev, _ = workshop(500)
xt, tt, et, rt = workshop(1500)
mu, sd = x.mean(0), x.std(0)
x, t, e = sort_by_time((x - mu) / sd, t, e)
xv, tv, ev = sort_by_time((xv - mu) / sd, tv, ev)
xt = torch.from_numpy((xt - mu) / sd)

net = nn.Sequential(nn.Linear(8, 48), nn.ELU(), nn.Dropout(0.1), nn.Linear(48, 48), nn.ELU(), nn.Dropout(0.1),
                    nn.Linear(48, 1, bias=False))
opt = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-2)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=15)
best, keep, bad = float("inf"), None, 0
print(f"{int((~e).sum())} of {len(e)} clocks still run")
for step in range(1, 401):
    net.train()
    loss = breslow(net(x).squeeze(1), e)
    opt.zero_grad()
    loss.backward()
    opt.step()
    net.eval()
    with torch.no_grad():
        v = breslow(net(xv).squeeze(1), ev).item()
    plateau.step(v)
    if v < best - 1e-4:
        best, keep, bad = v, {k: p.clone() for k, p in net.state_dict().items()}, 0
    else:
        bad += 1
    if step % 50 == 0:
        print(f"step {step} partial likelihood {loss.item():.4f} validation {v:.4f} lr {opt.param_groups[0]['lr']:.1e}")
    if bad > 80:
        print(f"stopped at {step}")
        break
net.load_state_dict(keep)
net.eval()
with torch.no_grad():
    c = concordance(net(xt).squeeze(1), tt, et)
print(f"test concordance {c:.3f} (the true risk has {concordance(rt, tt, et):.3f})")
