# 5-fold cross validation of a small MLP on the breast tissue table
import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold

torch.manual_seed(4)
np.random.seed(4)

dataset = load_breast_cancer()
X = dataset.data
y = dataset.target
print('samples', X.shape[0], 'features', X.shape[1])

BATCH_SIZE = 16
EPOCHS = 12


def build_model():
    return nn.Sequential(
        nn.Linear(30, 32),
        nn.ReLU(),
        nn.Linear(32, 16),
        nn.ReLU(),
        nn.Linear(16, 1),
    )


def batches(n, size):
    index = np.random.permutation(n)
    for k in range(0, n, size):
        yield index[k:k + size]


model = build_model()
print(model)
criterion = nn.BCEWithLogitsLoss()
optimizer = optim.Adam(model.parameters(), lr=1e-3)

kfold = StratifiedKFold(n_splits=5, shuffle=True, random_state=4)
scores = []

for fold, (train_idx, val_idx) in enumerate(kfold.split(X, y)):
    # every fold starts with new weights and its own scaling
    model = build_model()
    mean, std = X[train_idx].mean(axis=0), X[train_idx].std(axis=0)
    X_train = torch.tensor((X[train_idx] - mean) / std, dtype=torch.float32)
    y_train = torch.tensor(y[train_idx], dtype=torch.float32).unsqueeze(1)
    X_val = torch.tensor((X[val_idx] - mean) / std, dtype=torch.float32)
    y_val = torch.tensor(y[val_idx], dtype=torch.float32).unsqueeze(1)

    for epoch in range(EPOCHS):
        model.train()
        epoch_loss = 0.0
        for b in batches(len(X_train), BATCH_SIZE):
            xb, yb = X_train[b], y_train[b]
            optimizer.zero_grad()
            y_pred = model(xb)
            loss = criterion(y_pred, yb)
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item() * len(b)
        if epoch % 4 == 3:
            print('fold %d epoch %2d loss %.4f' % (fold + 1, epoch + 1, epoch_loss / len(X_train)))

    model.eval()
    with torch.no_grad():
        val_out = model(X_val)
        val_loss = criterion(val_out, y_val).item()
        val_acc = ((val_out > 0).float() == y_val).float().mean().item()
    print('fold %d  val loss %.4f  val acc %.4f' % (fold + 1, val_loss, val_acc))
    scores.append(val_acc)

print('per fold:', ['%.3f' % s for s in scores])
print('mean CV accuracy: %.4f' % np.mean(scores))
