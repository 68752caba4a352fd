"""Digits in small batches with BatchNorm, evaluated after every epoch."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(3)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
x = (x.float() - 4.9) / 6.0
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=0)
layers = []
for i in range(3):
    layers += [nn.Linear(48 if i else 64, 48), nn.BatchNorm1d(48, momentum=0.01), nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(48, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(4):
    model.train()
    for rows in torch.randperm(len(x_train)).split(12)[:-1]:
        loss = nn.functional.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(x_test), y_test)
    print(f"epoch {epoch}: test loss {loss.item():.3f}")
