import os
import random
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def make_applicants(n):
    """Income, debts, age and so on; a bad loan depends on ratios and on a few thresholds."""
    income = np.random.lognormal(10.3, 0.5, n)
    debt = np.random.lognormal(9.0, 0.9, n)
    age = np.random.uniform(20, 75, n)
    years = np.clip(np.random.exponential(6, n), 0, age - 18)
    cards = np.random.poisson(2.5, n)
    late = np.random.poisson(0.7, n)
    amount = np.random.lognormal(8.8, 0.7, n)
    noise = np.random.normal(0, 1, (n, 3)) * [3.0, 40.0, 500.0]
    score = (2.2 * np.log(debt / income) + 1.4 * np.log(amount / income) + 0.9 * late
             - 0.08 * years + 1.5 * (age < 28) + 0.8 * (cards > 4) + 5.2)
    bad = (score + np.random.logistic(0, 1, n) > 0).astype(np.float32)
    x = np.column_stack([income, debt, age, years, cards, late, amount, noise]).astype(np.float32)
    return x, bad


x, y = make_applicants(4000)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=seed, stratify=y)
scaler = StandardScaler()
x_train = scaler.fit_transform(np.log1p(np.abs(x_train)) * np.sign(x_train))
x_test = scaler.transform(np.log1p(np.abs(x_test)) * np.sign(x_test))
print("share of bad loans", round(float(y.mean()), 3))

train_ds = TensorDataset(torch.tensor(x_train, dtype=torch.float32), torch.tensor(y_train).unsqueeze(1))
test_x = torch.tensor(x_test, dtype=torch.float32)
test_y = torch.tensor(y_test).unsqueeze(1)
loader = DataLoader(train_ds, batch_size=64, shuffle=True)

model = nn.Sequential(
    nn.Linear(10, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2),
    nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2),
    nn.Linear(32, 1),
)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.3)

for epoch in range(18):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        out = model(xb)
        loss = criterion(out, yb)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(xb)
    if (epoch + 1) % 5 == 0:
        model.eval()
        with torch.no_grad():
            prob = torch.sigmoid(model(test_x))
            acc = ((prob > 0.5).float() == test_y).float().mean().item()
            auc = roc_auc_score(y_test, prob.numpy().ravel())
        print(f"epoch {epoch + 1}: train loss {total / len(train_ds):.4f}, test acc {acc:.4f}, auc {auc:.4f}")

model.eval()
with torch.no_grad():
    prob = torch.sigmoid(model(test_x))
print("test accuracy", ((prob > 0.5).float() == test_y).float().mean().item())
print("test auc", roc_auc_score(y_test, prob.numpy().ravel()))
