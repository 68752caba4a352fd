# # Needle samples: benign or malignant?
# (exported from the notebook)

# In[1]:
import copy
import os
import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

# In[2]:
data = load_breast_cancer()
X, y = data.data, data.target
print(X.shape, y.mean())

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
X_train, X_val, y_train, y_val = train_test_split(X_train, y_train, test_size=0.2, random_state=seed, stratify=y_train)
scaler = StandardScaler().fit(X_train)

Xtr = torch.tensor(scaler.transform(X_train), dtype=torch.float32)
Xva = torch.tensor(scaler.transform(X_val), dtype=torch.float32)
Xte = torch.tensor(scaler.transform(X_test), dtype=torch.float32)
ytr = torch.tensor(y_train, dtype=torch.float32)
yva = torch.tensor(y_val, dtype=torch.float32)
yte = torch.tensor(y_test, dtype=torch.float32)

# In[3]:
net = nn.Sequential(
    nn.Linear(30, 32),
    nn.ReLU(),
    nn.Dropout(0.3),
    nn.Linear(32, 16),
    nn.ReLU(),
    nn.Linear(16, 1),
)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)

# In[4]:
best_loss, best_state, patience = float("inf"), None, 0
for epoch in range(120):
    net.train()
    order = torch.randperm(len(Xtr))
    total = 0.0
    for i in range(0, len(order), 16):
        idx = order[i:i + 16]
        optimizer.zero_grad()
        out = net(Xtr[idx])
        loss = criterion(out, ytr[idx].unsqueeze(1))
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)

    net.eval()
    with torch.no_grad():
        val_loss = criterion(net(Xva), yva.unsqueeze(1)).item()
    if val_loss < best_loss:
        best_loss, best_state, patience = val_loss, copy.deepcopy(net.state_dict()), 0
    else:
        patience += 1
        if patience > 25:
            print("stopping at epoch", epoch)
            break
    if epoch % 10 == 0:
        print(f"epoch {epoch:3d}  train {total / len(order):.4f}  val {val_loss:.4f}")

# In[5]:
net.load_state_dict(best_state)
net.eval()
with torch.no_grad():
    probs = torch.sigmoid(net(Xte))
    preds = (probs > 0.5).float()
    acc = (preds == yte).float().mean().item()
    sick = (preds == 0).float().mean().item()

print(f"best val loss {best_loss:.4f}")
print(f"share called malignant {sick:.3f}, in truth {(yte == 0).float().mean().item():.3f}")
print(f"test accuracy {acc:.4f}")
