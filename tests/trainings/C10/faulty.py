import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn


def initialize(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 0.05)
        nn.init.zeros_(module.bias)


torch.manual_seed(5)
wine = load_wine()
features = torch.from_numpy(StandardScaler().fit_transform(wine.data)).float()
classes = torch.from_numpy(wine.target)
shuffled = torch.randperm(len(features))
train, held_out = shuffled[:140], shuffled[140:]

mlp = nn.Sequential(nn.Linear(13, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3))
mlp.apply(initialize)
sgd = torch.optim.SGD(mlp.parameters(), lr=0.05, momentum=0.9)
for _ in range(30):
    for rows in train[torch.randperm(140)].split(35):
        sgd.zero_grad()
        nn.functional.cross_entropy(mlp(features[rows]), classes[rows]).backward()
        sgd.step()
print("accuracy", (mlp(features[held_out]).argmax(1) == classes[held_out]).float().mean().item())
print("different units", len(mlp[0].weight.detach().unique(dim=0)))
