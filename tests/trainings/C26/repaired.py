"""Digits with dropout and normalization in every hidden layer."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

P = 0.05
torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x = torch.tensor((x - 4.9) / 6.0).float()
train_set = TensorDataset(x[:1500], torch.tensor(y[:1500]))


def layer(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU(), nn.Dropout(P))


model = nn.Sequential(layer(64, 128), layer(128, 128), layer(128, 128), layer(128, 128), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(10):
    model.train()
    for images, labels in DataLoader(train_set, batch_size=64, shuffle=True, drop_last=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = int((model(x[1500:]).argmax(1) == torch.tensor(y[1500:])).sum())
    print(f"epoch {epoch}: accuracy {right / (len(x) - 1500):.3f}")
