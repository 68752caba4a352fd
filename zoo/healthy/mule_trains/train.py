"""How long until a pack mule train breaks down? Cox regression with a small network."""
import copy

import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(37)
torch.manual_seed(37)

n = 1500
load = rng.normal(90, 18, n)
altitude = rng.uniform(300, 3200, n)
age = rng.gamma(9, 1.2, n)
mules = rng.integers(3, 15, n)
shod = rng.integers(0, 2, n)
weather = rng.normal(size=n)
extra = rng.normal(size=(n, 3))
log_hazard = (0.9 * ((load - 90) / 18) + 1.1 * ((age - 10) / 4) ** 2 + 0.7 * (altitude > 2200)
              - 0.8 * shod + 0.8 * weather * ((altitude - 1750) / 850))
failure = rng.weibull(1.4, n) * 40 * np.exp(-log_hazard / 1.4)
censor = rng.exponential(45, n)
time = torch.tensor(np.minimum(failure, censor), dtype=torch.float32)
event = torch.tensor(failure <= censor)
x = torch.tensor(np.column_stack([load, altitude, age, mules, shod, weather, extra]), dtype=torch.float32)

order = torch.randperm(n)
train, val, test = order[:900], order[900:1150], order[1150:]
mean, std = x[train].mean(0), x[train].std(0)
x = (x - mean) / std
print(f"{n} trains, {event.float().mean():.2f} observed breakdowns")


def partial_likelihood(risk, t, e):
    """Negative Cox partial log-likelihood per event; at_risk[i, j] says that j still walks at time t_i."""
    at_risk = t[None, :] >= t[:, None]
    log_total = torch.logsumexp(risk[None, :].masked_fill(~at_risk, -torch.inf), dim=1)
    return (log_total - risk)[e].mean()


def concordance(risk, t, e):
    comparable = e[:, None] & (t[:, None] < t[None, :])
    ahead = (risk[:, None] > risk[None, :]).float() + 0.5 * (risk[:, None] == risk[None, :]).float()
    return (ahead[comparable].sum() / comparable.sum()).item()


def fit(model, lr, weight_decay, max_epochs=400, patience=40):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    best, best_state, best_epoch = float("inf"), None, 0
    for epoch in range(max_epochs):
        model.train()
        optimizer.zero_grad()
        loss = partial_likelihood(model(x[train]), time[train], event[train])
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            val_loss = partial_likelihood(model(x[val]), time[val], event[val]).item()
        if val_loss < best:
            best, best_state, best_epoch = val_loss, copy.deepcopy(model.state_dict()), epoch
        if epoch % 40 == 0:
            print(f"  epoch {epoch:3d}  train {loss.item():.4f}  val {val_loss:.4f}")
        if epoch - best_epoch >= patience:
            break
    model.load_state_dict(best_state)
    model.eval()
    print(f"  kept epoch {best_epoch}, val {best:.4f}")
    with torch.no_grad():
        return concordance(model(x[test]), time[test], event[test])


print("linear Cox model")
linear = fit(nn.Sequential(nn.Linear(x.shape[1], 1, bias=False), nn.Flatten(0)), lr=0.03, weight_decay=0.0)
print("network")
network = nn.Sequential(
    nn.Linear(x.shape[1], 32), nn.SiLU(), nn.Dropout(0.15),
    nn.Linear(32, 16), nn.SiLU(), nn.Dropout(0.15),
    nn.Linear(16, 1, bias=False), nn.Flatten(0))
deep = fit(network, lr=3e-3, weight_decay=0.05)
print(f"test concordance: network {deep:.4f}, linear {linear:.4f}, chance 0.5")
