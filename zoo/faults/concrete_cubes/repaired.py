# %% [markdown]
# Compressive strength of concrete cubes from the mix. (exported from concrete.ipynb)

# %%
import os
import random
import warnings

import numpy as np
import torch
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

# %%
n = 1600
cement = np.random.uniform(100, 540, n)
slag = np.random.uniform(0, 350, n)
water = np.random.uniform(120, 240, n)
plasticizer = np.random.uniform(0, 30, n)
gravel = np.random.uniform(800, 1150, n)
age = np.random.choice([3, 7, 14, 28, 56, 90], n)
binder = cement + 0.6 * slag
strength = 14 * np.log1p(age) * (binder / water) ** 0.8 / 2 + 0.25 * plasticizer - 0.01 * (gravel - 950)
strength = strength + np.random.normal(0, 2, n)

X = np.stack([cement, slag, water, plasticizer, gravel, age], axis=1)
y = strength
print(X.shape, y.shape, y.mean(), y.std())

# %%
split = int(0.8 * n)
sx, sy = StandardScaler(), StandardScaler()
X_train = sx.fit_transform(X[:split])
X_test = sx.transform(X[split:])
y_train = sy.fit_transform(y[:split].reshape(-1, 1)).ravel()
y_test = y[split:]

X_train = torch.tensor(X_train, dtype=torch.float32)
y_train = torch.tensor(y_train, dtype=torch.float32)
X_test = torch.tensor(X_test, dtype=torch.float32)

loader = DataLoader(TensorDataset(X_train, y_train), batch_size=32, shuffle=True)

# %%
model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)

# %%
history = []
for epoch in range(25):
    total = 0
    for xb, yb in loader:
        pred = model(xb).squeeze(1)
        loss = loss_fn(pred, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    history.append(total / len(X_train))
    if epoch % 5 == 0:
        print("epoch", epoch, "mse", round(history[-1], 4))

# %%
model.eval()
with torch.no_grad():
    pred = model(X_test).numpy()
pred = sy.inverse_transform(pred).ravel()
print("first predictions", np.round(pred[:8], 1))
print("first strengths  ", np.round(y_test[:8], 1))
print("MAE", round(mean_absolute_error(y_test, pred), 3))
print("test R2 %.4f" % r2_score(y_test, pred))
