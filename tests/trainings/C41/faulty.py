"""Digits through three layers with batch normalization, evaluated after every epoch."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second = nn.Linear(64, 64)
        self.last = nn.Linear(64, 10)
        self.norm = nn.BatchNorm1d(64)

    def forward(self, x):
        x = self.norm(torch.relu(self.first(x)))
        x = self.norm(torch.relu(self.second(x)))
        return self.last(x)


torch.manual_seed(3)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
x = x.float() / 16
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=0)
model = Layers()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for epoch in range(6):
    model.train()
    for rows in torch.randperm(len(x_train)).split(32):
        loss = nn.functional.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(x_test), y_test)
    print(f"epoch {epoch}: test loss {loss.item():.3f}")
