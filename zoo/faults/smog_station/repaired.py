# Benzene from the cheap sensors of a street station (my first regression in pytorch)
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(17)
np.random.seed(17)

COLUMNS = ['CO', 'NOx', 'NO2', 'O3', 'T', 'RH', 'AH', 'wind']


def read_station(hours=3000):
    """hourly export of the logger"""
    traffic = np.random.gamma(4.0, 0.25, hours)
    temp = np.random.normal(18, 7, hours)
    rh = np.clip(np.random.normal(50, 15, hours), 10, 95)
    wind = np.random.gamma(3.0, 0.9, hours)
    ah = 0.02 * rh * np.exp(0.06 * (temp - 18)) + np.random.normal(0, 0.05, hours)
    dilution = 1.0 / (0.6 + 0.25 * wind)
    co = 2.4 * traffic * dilution + np.random.normal(0, 0.1, hours)
    nox = 260 * traffic * dilution + np.random.normal(0, 130, hours)
    no2 = 80 + 40 * traffic + np.random.normal(0, 40, hours)
    o3 = 1200 - 160 * traffic + 12 * temp + np.random.normal(0, 120, hours)
    benzene = 5.0 * co * (1 + 0.025 * (temp - 18)) + 2.0 * ah - 0.5 * wind + np.random.normal(0, 0.5, hours)
    table = np.stack([co, nox, no2, o3, temp, rh, ah, wind], axis=1)
    table[np.random.rand(*table.shape) < 0.03] = -200
    return table, benzene


X, y = read_station()
n_train = int(0.8 * len(X))
order = np.random.permutation(len(X))
train, test = order[:n_train], order[n_train:]

X[X == -200] = np.nan
mean = np.nanmean(X[train], axis=0)
std = np.nanstd(X[train], axis=0)
Xs = np.nan_to_num((X - mean) / std)
y_mean, y_std = y[train].mean(), y[train].std()
ys = (y - y_mean) / y_std

x_train = torch.tensor(Xs[train], dtype=torch.float32)
y_train = torch.tensor(ys[train], dtype=torch.float32).view(-1, 1)
x_test = torch.tensor(Xs[test], dtype=torch.float32)

model = nn.Sequential(
    nn.Linear(len(COLUMNS), 48),
    nn.Tanh(),
    nn.Linear(48, 24),
    nn.Tanh(),
    nn.Linear(24, 1),
)
loss_function = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

BATCH = 64
for epoch in range(30):
    model.train()
    perm = torch.randperm(n_train)
    losses = []
    for i in range(0, n_train, BATCH):
        xb = x_train[perm[i:i + BATCH]]
        yb = y_train[perm[i:i + BATCH]]

        def closure():
            optimizer.zero_grad()
            loss = loss_function(model(xb), yb)
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
    if epoch % 5 == 4:
        print('epoch', epoch + 1, 'train loss', round(float(np.mean(losses)), 4))

model.eval()
with torch.no_grad():
    pred = model(x_test).squeeze(1).numpy() * y_std + y_mean
rmse = np.sqrt(np.mean((pred - y[test]) ** 2))
r2 = 1 - np.sum((pred - y[test]) ** 2) / np.sum((y[test] - y[test].mean()) ** 2)
print('test RMSE ug/m3:', round(float(rmse), 3))
print('test R2:', round(float(r2), 4))
