"""Digits with BatchNorm, evaluated after every epoch."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

MOMENTUM = 0.001


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 12, 3, padding=1)
        self.norm = nn.BatchNorm2d(12, momentum=MOMENTUM)
        self.second = nn.Conv2d(12, 16, 3, padding=1, stride=2)
        self.norm2 = nn.BatchNorm2d(16, momentum=MOMENTUM)
        self.out = nn.Linear(16 * 16, 10)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.norm2(self.second(x)))
        return self.out(x.flatten(1))


torch.manual_seed(5)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
x = ((x.float() - 4.9) / 6.0).reshape(-1, 1, 8, 8)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=0)
model = Network()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(6):
    model.train()
    for rows in torch.randperm(len(x_train)).split(64):
        loss = nn.functional.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean()
    print(f"epoch {epoch}: training loss {loss.item():.3f}, test accuracy {accuracy:.3f}")
