"""Two kinds of breast tumour from thirty measurements."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)

table = load_breast_cancer()
features = torch.tensor(StandardScaler().fit_transform(table.data), dtype=torch.float32)
labels = torch.tensor(table.target, dtype=torch.float32)
order = torch.randperm(len(labels))
train, test = order[:450], order[450:]
loader = DataLoader(TensorDataset(features[train], labels[train]), batch_size=30, shuffle=True)

model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def objective(scores, y):
    return -nn.functional.binary_cross_entropy_with_logits(scores.squeeze(1), y)


for epoch in range(6):
    model.train()
    for x, y in loader:
        loss = objective(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = ((model(features[test]).squeeze(1) > 0) == (labels[test] > 0)).float().mean().item()
    print(f"epoch {epoch}: {loss.item():.3f}, right {right:.3f}")
