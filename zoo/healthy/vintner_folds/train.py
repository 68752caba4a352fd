# Ten-fold cross validation of a small network on the wine table (178 bottles, 3 growers).
import os

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)
np.random.seed(seed)

X, y = load_wine(return_X_y=True)
print(X.shape, np.bincount(y))

EPOCHS = 60
BATCH = 16


def build_model():
    return nn.Sequential(
        nn.Linear(13, 32),
        nn.Tanh(),
        nn.Dropout(0.2),
        nn.Linear(32, 3),
    )


def train_fold(x_train, y_train):
    model = build_model()
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=True)
    sched = torch.optim.lr_scheduler.StepLR(opt, step_size=25, gamma=0.3)
    loss_fn = nn.CrossEntropyLoss()
    model.train()
    for epoch in range(EPOCHS):
        perm = torch.randperm(len(x_train))
        running = 0.0
        for start in range(0, len(perm), BATCH):
            idx = perm[start:start + BATCH]
            opt.zero_grad()
            loss = loss_fn(model(x_train[idx]), y_train[idx])
            loss.backward()
            opt.step()
            running += loss.item() * len(idx)
        sched.step()
    return model, running / len(x_train)


folds = StratifiedKFold(n_splits=10, shuffle=True, random_state=seed)
accuracies = []
confusion = np.zeros((3, 3), dtype=int)
for k, (train_idx, test_idx) in enumerate(folds.split(X, y)):
    scaler = StandardScaler().fit(X[train_idx])
    x_train = torch.tensor(scaler.transform(X[train_idx]), dtype=torch.float32)
    x_test = torch.tensor(scaler.transform(X[test_idx]), dtype=torch.float32)
    y_train = torch.tensor(y[train_idx])
    y_test = y[test_idx]

    model, last_loss = train_fold(x_train, y_train)

    model.eval()
    with torch.no_grad():
        pred = model(x_test).argmax(dim=1).numpy()
    acc = (pred == y_test).mean()
    accuracies.append(acc)
    for t, p in zip(y_test, pred):
        confusion[t, p] += 1
    print(f"fold {k}: train loss {last_loss:.4f}  accuracy {acc:.3f}")

print("confusion (rows: truth)")
print(confusion)
print(f"accuracy {np.mean(accuracies):.4f} +- {np.std(accuracies):.4f}")
