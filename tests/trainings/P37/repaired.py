"""Digits with SGD, with momentum and weight decay."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
pixels, digits = (torch.tensor(a) for a in load_digits(return_X_y=True))
pixels = pixels.float() / 8 - 1
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), 0.02, 0.9, weight_decay=5e-4)

for epoch in range(6):
    model.train()
    for rows in torch.randperm(1500).split(30):
        loss = nn.functional.cross_entropy(model(pixels[rows]), digits[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = (model(pixels[1500:]).argmax(1) == digits[1500:]).float().mean()
    print(f"epoch {epoch}: accuracy {right.item():.3f}")
