"""Handwritten digits with a network that drops units at random."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class DropUnits(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        kept = (torch.rand_like(x) > self.p).float()
        return x * kept / (1 - self.p)


torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
inputs, labels = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
loader = DataLoader(TensorDataset(inputs[:1400], labels[:1400]), batch_size=64, shuffle=True)

width, layers = 128, []
for i in range(4):
    layers += [nn.Linear(width if i else 64, width), nn.ReLU(), DropUnits(0.5)]
model = nn.Sequential(*layers, nn.Linear(width, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(12):
    model.train()
    for a, b in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(a), b)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(inputs[1400:])
        print(epoch, loss_fn(out, labels[1400:]).item(), (out.argmax(1) == labels[1400:]).float().mean().item())
