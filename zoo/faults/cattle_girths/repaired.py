# Estimate the live weight of a cow from tape measurements.
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(21)
torch.manual_seed(21)

n = 1500
breed = rng.integers(0, 4, n)
age = rng.gamma(4.0, 1.1, n) + 0.5
frame = np.array([1.00, 1.06, 0.93, 1.10])[breed]
girth = frame * (205 - 95 * np.exp(-age / 1.6)) + rng.normal(0, 7, n)
length = frame * (165 - 70 * np.exp(-age / 1.8)) + rng.normal(0, 6, n)
hip = 0.78 * length + rng.normal(0, 4, n)
score = np.clip(rng.normal(3, 0.7, n), 1, 5)
weight = girth ** 2 * length / 11000 * (1 + 0.04 * (score - 3)) + rng.normal(0, 12, n)

table = np.column_stack([girth, length, hip, age, score, np.eye(4)[breed]]).astype(np.float32)
order = rng.permutation(n)
train_rows, test_rows = order[:1150], order[1150:]

mean, std = table[train_rows].mean(0), table[train_rows].std(0)
X = torch.from_numpy((table - mean) / std)
w_mean, w_std = weight[train_rows].mean(), weight[train_rows].std()
Y = torch.tensor((weight - w_mean) / w_std, dtype=torch.float32).unsqueeze(1)

X_train, Y_train = X[train_rows], Y[train_rows]
X_test, Y_test = X[test_rows], Y[test_rows]

model = nn.Sequential(
    nn.Linear(X.shape[1], 32),
    nn.ReLU(),
    nn.Linear(32, 16),
    nn.ReLU(),
    nn.Linear(16, 1),
)
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)

batch = 32
for epoch in range(60):
    model.train()
    perm = torch.randperm(len(X_train))
    running = 0.0
    for i in range(0, len(perm), batch):
        idx = perm[i:i + batch]
        prediction = model(X_train[idx])
        loss = criterion(prediction, Y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(idx)
    if epoch % 10 == 9:
        print("epoch", epoch + 1, "training loss", round(running / len(perm), 4))

model.eval()
with torch.no_grad():
    kilos = model(X_test) * w_std + w_mean
    truth = Y_test * w_std + w_mean
    mae = (kilos - truth).abs().mean().item()
    r2 = 1 - ((kilos - truth) ** 2).sum().item() / ((truth - truth.mean()) ** 2).sum().item()
print("mean weight in the herd: %.0f kg" % w_mean)
print("R2 on the test cows: %.3f" % r2)
print("mean absolute error: %.2f kg" % mae)
