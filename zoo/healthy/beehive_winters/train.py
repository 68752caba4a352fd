"""How long does a beehive live?  Cox partial likelihood with a small net, beside the linear Cox model."""
import os

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))


def hives(n, rng):
    x = rng.normal(size=(n, 8))
    risk = 1.2 * (x[:, 0] * x[:, 1]) + 0.8 * x[:, 2] - np.minimum(1.5, x[:, 3] ** 2) + 0.3 * x[:, 4]
    life = rng.exponential(1.0, n) / np.exp(risk)
    life = life ** 0.8 * 10
    seen = rng.exponential(18.0, n)
    time = np.minimum(life, seen)
    event = life <= seen
    return (torch.tensor(x, dtype=torch.float32), torch.tensor(time, dtype=torch.float32), torch.tensor(event))


def cox_loss(score, time, event):
    """Negative log partial likelihood (Breslow); the risk set of a case is everyone with a later time."""
    order = torch.argsort(time, descending=True)
    score, event = score[order], event[order]
    log_risk = torch.logcumsumexp(score, dim=0)
    return -(score - log_risk)[event].mean()


def concordance(score, time, event):
    good = pairs = 0.0
    for i in torch.where(event)[0]:
        later = time > time[i]
        pairs += later.sum().item()
        good += (score[i] > score[later]).sum().item() + 0.5 * (score[i] == score[later]).sum().item()
    return good / pairs


def fit(model, train, valid, lr, weight_decay, steps):
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    best, best_state = float("inf"), None
    for step in range(steps):
        model.train()
        opt.zero_grad()
        loss = cox_loss(model(train[0]).squeeze(1), *train[1:])
        loss.backward()
        opt.step()
        if step % 10 == 0:
            model.eval()
            with torch.no_grad():
                v = cox_loss(model(valid[0]).squeeze(1), *valid[1:]).item()
            if v < best:
                best, best_state = v, {k: t.clone() for k, t in model.state_dict().items()}
        if step % 100 == 0:
            print(f"  step {step} train {loss.item():.4f} valid {v:.4f}")
    model.load_state_dict(best_state)
    return model.eval()


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    train, valid, test = hives(4000, rng), hives(1000, rng), hives(1500, rng)
    print(f"deaths seen: {train[2].float().mean().item():.2f} of the hives")
    print("linear")
    linear = fit(nn.Linear(8, 1, bias=False), train, valid, lr=0.05, weight_decay=0.0, steps=200)
    print("net")
    net = nn.Sequential(nn.Linear(8, 96), nn.SiLU(), nn.Dropout(0.1), nn.Linear(96, 96), nn.SiLU(), nn.Dropout(0.1),
                        nn.Linear(96, 1, bias=False))
    net = fit(net, train, valid, lr=3e-3, weight_decay=1e-2, steps=500)
    with torch.no_grad():
        a = concordance(linear(test[0]).squeeze(1), *test[1:])
        b = concordance(net(test[0]).squeeze(1), *test[1:])
    print(f"test concordance: linear {a:.3f}  net {b:.3f}")


main()
