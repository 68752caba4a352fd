"""Three cultivars of wine, told by what is in them."""

import torch
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(0)
wine = load_wine()
features = torch.tensor(wine.data, dtype=torch.float32)
cultivars = torch.tensor(wine.target)
order = torch.randperm(len(features))
features, cultivars = features[order], cultivars[order]
cut = int(len(features) * 0.75)
train, test = features[:cut], features[cut:]
train_labels, test_labels = cultivars[:cut], cultivars[cut:]
mean, std = train.mean(0), train.std(0)
train, test = (train - mean) / std, (test - mean) / std

model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)


def accuracy(inputs: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return (model(inputs).argmax(1) == labels).float().mean().item()


for _ in range(20):
    for rows in torch.randperm(cut).split(16):
        loss = nn.functional.cross_entropy(model(train[rows]), train_labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("train", accuracy(train, train_labels), "test", accuracy(test, test_labels))
