"""Friction coefficient of a bearing as a smooth function of speed, load and temperature; few points, second-order fit."""
import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

rng = np.random.RandomState(5)
torch.manual_seed(5)


def measure(n):
    speed = rng.uniform(0.1, 10.0, n)
    load = rng.uniform(1.0, 20.0, n)
    temp = rng.uniform(10.0, 90.0, n)
    hersey = speed * np.exp(-0.02 * (temp - 40)) / load
    mu = 0.12 * np.exp(-3.0 * hersey) + 0.02 * np.sqrt(hersey) + 0.004 * np.sin(temp / 9)
    return np.column_stack([speed, np.log(load), temp]), mu + 0.0008 * rng.randn(n)


x_train, y_train = measure(260)
x_test, y_test = measure(200)
scale_x = StandardScaler().fit(x_train)
scale_y = StandardScaler().fit(y_train[:, None])
to_tensor = lambda a: torch.tensor(a, dtype=torch.float32)
xt, yt = to_tensor(scale_x.transform(x_train)), to_tensor(scale_y.transform(y_train[:, None]))
xv, yv = to_tensor(scale_x.transform(x_test)), to_tensor(scale_y.transform(y_test[:, None]))

net = nn.Sequential(nn.Linear(3, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=6, history_size=12)
ridge = 1e-5


def objective():
    fit = ((net(xt) - yt) ** 2).mean()
    penalty = sum((p**2).sum() for p in net.parameters() if p.ndim > 1)
    return fit + ridge * penalty


for it in range(1, 121):

    def closure():
        optimizer.zero_grad()
        loss = objective()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    if it % 20 == 0:
        with torch.no_grad():
            r2 = 1 - ((net(xv) - yv) ** 2).sum() / ((yv - yv.mean()) ** 2).sum()
        print(f"iteration {it:3d}  objective {loss.item():.5f}  R2 on new points {r2.item():.4f}")
