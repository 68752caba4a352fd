"""Digits, with a moving average of the weights that is evaluated in the end."""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(5)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
x = (x.float() - 4.9) / 6.0
order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
train, test = order[:1400], order[1400:]

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
average = copy.deepcopy(model).eval().requires_grad_(False)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(400):
    rows = train[torch.randint(len(train), (64,))]
    loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), model.parameters()):
            slow.mul_(0.98).add_(fast, alpha=1 - 0.98)
    if step % 80 == 79:
        with torch.no_grad():
            right = (average(x[test]).argmax(1) == y[test]).float().mean().item()
        print(f"step {step + 1} loss {loss.item():.3f} accuracy of the average {right:.3f}")
