# Strength of a cement mix from its recipe. Port of the Keras notebook.
import math
import os
import random

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

EPOCHS = 30
PEAK_LR = 2e-3
WARMUP = 60

# recipe: cement, slag, ash, water, plasticizer, coarse, fine, age
n = 3000
recipe = np.random.uniform(0.0, 1.0, (n, 8))
cement, slag, ash, water, plast, coarse, fine, age = recipe.T
ratio = (0.4 + water) / (0.5 + cement + 0.6 * slag + 0.3 * ash)
strength = 60 * np.exp(-ratio) * (0.4 + np.log1p(6 * age) / 2) + 8 * np.sin(3 * plast) * coarse - 5 * (fine - 0.5) ** 2
strength = strength + np.random.normal(0, 0.8, n)

X = torch.tensor((recipe - recipe[:2400].mean(0)) / recipe[:2400].std(0), dtype=torch.float32)
Y = torch.tensor((strength - strength[:2400].mean()) / strength[:2400].std(), dtype=torch.float32)[:, None]
train_dl = DataLoader(TensorDataset(X[:2400], Y[:2400]), batch_size=64, shuffle=True)
x_test, y_test = X[2400:], Y[2400:]

model = nn.Sequential(nn.Linear(8, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, weight_decay=1e-4)
total_steps = EPOCHS * len(train_dl)


def lr_at(step):
    """Linear warm-up to the peak, then a cosine to zero."""
    if step < WARMUP:
        factor = (step + 1) / WARMUP
    else:
        factor = 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (total_steps - WARMUP)))
    return PEAK_LR * factor


scheduler = LambdaLR(optimizer, lr_lambda=lr_at)
criterion = nn.MSELoss()


def r2(x, y):
    model.eval()
    with torch.no_grad():
        pred = model(x)
    return 1 - ((pred - y) ** 2).sum().item() / ((y - y.mean()) ** 2).sum().item()


best = -math.inf
for epoch in range(EPOCHS):
    model.train()
    running = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        running += loss.item() * len(xb)
    score = r2(x_test, y_test)
    best = max(best, score)
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1:2d}  mse {running / 2400:.4f}  r2 {score:.4f}")

print(f"best R2 {best:.4f}")
print(f"test R2 {r2(x_test, y_test):.4f}")
