"""Handwritten digits of which some are rare: a sampler is to balance them."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16 - 0.3
y = torch.tensor(digits.target)
test = torch.randperm(len(y), generator=torch.Generator().manual_seed(1))[:500]
keep = (torch.rand(len(y)) < 0.2) | (y < 6)
keep[test] = False

train_set = TensorDataset(x[keep], y[keep])
labels = y[keep]
weights = 1.0 / torch.bincount(labels).float()
sampler = WeightedRandomSampler(weights[labels], num_samples=len(labels))
loader = DataLoader(train_set, batch_size=32, sampler=sampler)

model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    model.train()
    for images, targets in loader:
        loss = criterion(model(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        scores = model(x[test])
        test_loss = criterion(scores, y[test]).item()
        right = (scores.argmax(1) == y[test]).float().mean().item()
    print(f"epoch {epoch}: loss {test_loss:.3f}, right {right:.3f}")
