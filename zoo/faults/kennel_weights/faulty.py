# Which of six food plans suits a dog? From the kennel's table (age, weight, coat, activity, ...)
import os
import random

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

# %% data
X, y = make_classification(n_samples=9000, n_features=18, n_informative=10, n_redundant=3,
                           n_classes=6, n_clusters_per_class=2, class_sep=1.4, flip_y=0.02,
                           random_state=seed)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
scaler = StandardScaler().fit(X_train)
X_train = torch.tensor(scaler.transform(X_train), dtype=torch.float32)
X_test = torch.tensor(scaler.transform(X_test), dtype=torch.float32)
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)
print(X_train.shape, X_test.shape, np.bincount(y_train.numpy()))

# %% hyperparameters
EPOCHS = 25
BATCH_SIZE = 4096   # fits easily, and the epochs go by much faster
LEARNING_RATE = 0.02

train_dl = DataLoader(TensorDataset(X_train, y_train), batch_size=BATCH_SIZE, shuffle=True)
test_dl = DataLoader(TensorDataset(X_test, y_test), batch_size=1024)

# %% model
net = nn.Sequential(
    nn.Linear(18, 96),
    nn.ReLU(),
    nn.Linear(96, 96),
    nn.ReLU(),
    nn.Linear(96, 6),
)
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=0.9)


def predict(dl):
    net.eval()
    out = []
    with torch.no_grad():
        for xb, _ in dl:
            out.append(net(xb).argmax(dim=1))
    return torch.cat(out)


# %% training
best, wait = 0.0, 0
for epoch in range(EPOCHS):
    net.train()
    run, seen = 0.0, 0
    for xb, yb in train_dl:
        opt.zero_grad()
        loss = loss_fn(net(xb), yb)
        loss.backward()
        opt.step()
        run += loss.item() * len(xb)
        seen += len(xb)
    acc = accuracy_score(y_test, predict(test_dl))
    print(f"epoch {epoch + 1:3d}  train loss {run / seen:.4f}  test acc {acc:.4f}")
    if acc > best:
        best, wait = acc, 0
    else:
        wait += 1
    if wait >= 12:
        print("no gain, stop")
        break

# %% result
pred = predict(test_dl)
print(confusion_matrix(y_test, pred))
print(f"accuracy on the test dogs: {accuracy_score(y_test, pred):.4f}")
