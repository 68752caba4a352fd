"""Cracks in the hull from the ultrasound features; about two plates in a hundred are cracked."""
import os
import random
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

X, y = make_classification(n_samples=6000, n_features=12, n_informative=5, n_redundant=2, weights=[0.97],
                           class_sep=0.7, flip_y=0.0, random_state=seed)
X = ((X - X.mean(0)) / X.std(0)).astype("float32")
X_train, X_test, y_train, y_test = train_test_split(X, y.astype("float32"), test_size=0.3, stratify=y, random_state=seed)
train_loader = DataLoader(TensorDataset(torch.from_numpy(X_train), torch.from_numpy(y_train)), batch_size=64, shuffle=True)


class CrackNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


def report(model):
    model.eval()
    with torch.no_grad():
        guess = (torch.sigmoid(model(torch.from_numpy(X_test))) > 0.5).numpy()
    return (guess == y_test).mean(), balanced_accuracy_score(y_test, guess)


def train(model, epochs=30):
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor((y_train == 0).sum() / (y_train == 1).sum()))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item()
        if epoch % 5 == 4:
            acc, _ = report(model)
            print(f"epoch {epoch + 1} loss {total / len(train_loader):.4f} accuracy {acc:.4f}")
    return model


model = train(CrackNet())
acc, balanced = report(model)
print(f"accuracy {acc:.4f}")
print(f"balanced accuracy {balanced:.4f}")
