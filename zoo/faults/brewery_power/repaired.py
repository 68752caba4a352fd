# next-day power of a brewery from the last two weeks, L-BFGS on a small net
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(6)
np.random.seed(6)

# ---- daily series, five years --------------------------------------------
days = np.arange(5 * 365)
year = 2 * np.pi * days / 365.25
temp = 9 - 10 * np.cos(year) + np.convolve(np.random.randn(len(days) + 4), np.ones(5) / 5, "valid") * 3
brew = np.isin(days % 7, [0, 2, 3]).astype(float)          # brewing days
closed = (days % 7 == 6).astype(float)
cooling = np.maximum(temp - 12, 0) * 1.6
heating = np.maximum(8 - temp, 0) * 1.1
power = 40 + 18 * brew * (1 + 0.02 * temp) + cooling + heating - 14 * closed + np.random.randn(len(days)) * 1.2

LAGS = 14


def frame(power, temp):
    rows, y = [], []
    for t in range(LAGS, len(power)):
        # lags, forecast temperature, weekday and season
        cal = np.r_[np.eye(7)[t % 7], np.sin(year[t]), np.cos(year[t])]
        rows.append(np.r_[power[t - LAGS:t], temp[t], cal])
        y.append(power[t])
    return np.array(rows), np.array(y)


X, y = frame(power, temp)
cut = 4 * 365 - LAGS
xm, xs = X[:cut].mean(0), X[:cut].std(0)
ym, ys = y[:cut].mean(), y[:cut].std()
X = torch.tensor((X - xm) / xs, dtype=torch.float32)
Y = torch.tensor((y - ym) / ys, dtype=torch.float32)
Xtr, Ytr, Xte, Yte = X[:cut], Y[:cut], X[cut:], Y[cut:]

# ---- model ---------------------------------------------------------------
net = nn.Sequential(nn.Linear(X.shape[1], 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=5, history_size=10, line_search_fn="strong_wolfe")
blocks = list(zip(Xtr.split(182), Ytr.split(182)))     # half years
l2 = 1e-3


def penalty():
    return l2 * sum((p ** 2).sum() for p in net.parameters() if p.ndim > 1)


def closure():
    total = 0.0
    opt.zero_grad()
    for xb, yb in blocks:
        err = ((net(xb)[:, 0] - yb) ** 2).sum() / cut
        loss = err + penalty() * len(xb) / cut
        loss.backward()
        total += loss.detach()
    return total


def rmse(x, y):
    net.eval()
    with torch.no_grad():
        r = ((net(x)[:, 0] - y) ** 2).mean().sqrt().item() * ys
    net.train()
    return r


for k in range(1, 121):
    loss = opt.step(closure)
    if k % 20 == 0:
        print(f"{k:4d}  objective {float(loss):.4f}  train rmse {rmse(Xtr, Ytr):.2f} kW  last year {rmse(Xte, Yte):.2f} kW")

naive = np.sqrt(((power[-365:] - power[-372:-7]) ** 2).mean())
print(f"same day last week {naive:.3f} kW, noise 1.2 kW")
print(f"test rmse {rmse(Xte, Yte):.4f}")
