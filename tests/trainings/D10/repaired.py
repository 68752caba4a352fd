"""Find the rare defect: one in fifteen parts."""

import torch
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(2)
x, y = make_classification(
    n_samples=3000, n_features=16, n_informative=8, weights=[14 / 15], flip_y=0.02, class_sep=0.8, random_state=2
)
x = torch.tensor(x, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(y)
counts = torch.bincount(y).float()
weights = counts.sum() / (2 * counts)
sampler = WeightedRandomSampler(weights[y], num_samples=len(y))
loader = DataLoader(TensorDataset(x, y), batch_size=60, sampler=sampler)
model = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(6):
    for features, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(features), labels)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
