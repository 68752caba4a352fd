"""Wine cultivars by a two-layer network trained with plain SGD."""

import torch
from sklearn.datasets import load_wine
from torch import nn, optim

torch.manual_seed(0)
wine = load_wine()
x = torch.tensor(wine.data, dtype=torch.float32)
y = torch.tensor(wine.target)

perm = torch.randperm(len(x))
x, y = x[perm], y[perm]
mean, std = x[:138].mean(0), x[:138].std(0)
x = (x - mean) / std
x = x / 5000
x_train, y_train, x_val, y_val = x[:138], y[:138], x[138:], y[138:]

net = nn.Sequential(nn.Linear(13, 20), nn.ReLU(), nn.Linear(20, 3))
sgd = optim.SGD(net.parameters(), lr=0.2)
criterion = nn.CrossEntropyLoss()

losses = []
for _ in range(45):
    net.train()
    for rows in torch.randperm(len(x_train)).split(46):
        sgd.zero_grad()
        loss = criterion(net(x_train[rows]), y_train[rows])
        loss.backward()
        sgd.step()
        losses.append(loss.item())

net.eval()
with torch.no_grad():
    logits = net(x_val)
    accuracy = (logits.argmax(1) == y_val).float().mean().item()
print(f"loss at the start {losses[0]:.4f}, at the end {sum(losses[-9:]) / 9:.4f}")
print(f"validation accuracy {accuracy:.3f}, spread of the logits {logits.std(0).mean().item():.5f}")
