# Notebook "takings of the student cafe", exported with nbconvert

# In[1]:
import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
rng = np.random.default_rng(3)

# In[2]:  three years of days; the real table is private, so this one is made from the coefficients of our report
n_days = 3 * 365
day = np.arange(n_days)
weekday = day % 7
temp = 11 - 9 * np.cos(2 * np.pi * day / 365) + 3 * rng.standard_normal(n_days)
rain = rng.gamma(0.6, 4.0, n_days) * (rng.random(n_days) < 0.45)
term = ((day % 365) < 120) | (((day % 365) > 160) & ((day % 365) < 210)) | ((day % 365) > 270)
exams = ((day % 365) > 190) & ((day % 365) < 210)
event = rng.random(n_days) < 0.08
takings = (
    420
    + 380 * term * (weekday < 5)
    - 120 * (weekday == 6)
    + 90 * exams
    + 260 * event * (weekday >= 4)
    + 9 * np.maximum(temp - 18, 0) ** 1.3
    - 14 * np.minimum(rain, 15) * ~term
    + 8 * np.minimum(rain, 15) * term
    + 35 * rng.standard_normal(n_days)
)

# In[3]:
onehot = np.eye(7)[weekday]
weather = np.stack([temp, rain], 1)
flags = np.stack([term, exams, event], 1)
order = rng.permutation(n_days)
tr, te = order[:850], order[850:]
w_mean, w_std = weather[tr].mean(0), weather[tr].std(0)
X = np.concatenate([onehot, (weather - w_mean) / w_std, flags], 1)
y_mean, y_std = takings[tr].mean(), takings[tr].std()
y = (takings - y_mean) / y_std

X_train = torch.tensor(X[tr], dtype=torch.float32)
y_train = torch.tensor(y[tr], dtype=torch.float32)
X_test = torch.tensor(X[te], dtype=torch.float32)
loader = DataLoader(TensorDataset(X_train, y_train), batch_size=64, shuffle=True)

# In[4]:
net = nn.Sequential(
    nn.Linear(X.shape[1], 192),
    nn.ReLU(),
    nn.Linear(192, 192),
    nn.ReLU(),
    nn.Linear(192, 1),
)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)


def squared_error(prediction, target):
    return torch.mean((prediction - target) ** 2)


# In[5]:
for epoch in range(25):
    running = 0.0
    for xb, yb in loader:
        pred = net(xb)
        loss = squared_error(pred, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
    if epoch % 5 == 4:
        print("epoch", epoch + 1, "loss", round(running / len(loader), 4))

# In[6]:
with torch.no_grad():
    guess = net(X_test).numpy().ravel() * y_std + y_mean
print(f"R2 on the held-out days: {r2_score(takings[te], guess):.3f}")
