# Tabular classification, written as a plain script.
import numpy as np
import torch
from sklearn.datasets import make_classification

torch.manual_seed(1)
X, y = make_classification(2000, 20, n_informative=12, n_classes=3, random_state=1)
X = (X - X.mean(0)) / X.std(0)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)

layers = []
for width_in, width_out in [(20, 64), (64, 64)]:
    linear = torch.nn.Linear(width_in, width_out)
    torch.nn.init.constant_(linear.bias, 0.0)
    layers += [linear, torch.nn.ReLU()]
net = torch.nn.Sequential(*layers, torch.nn.Linear(64, 3))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
criterion = torch.nn.CrossEntropyLoss()

rng = np.random.default_rng(1)
for _ in range(5):
    order = rng.permutation(1600)
    for start in range(0, 1600, 64):
        index = order[start : start + 64]
        opt.zero_grad()
        loss = criterion(net(X[index]), y[index])
        loss.backward()
        opt.step()

with torch.no_grad():
    hidden = net[3](net[2](net[1](net[0](X[:1600]))))
    print("accuracy", (net(X[1600:]).argmax(1) == y[1600:]).float().mean().item())
    print(
        "dead",
        ((net[1](net[0](X[:1600])) > 0).sum(0) == 0).float().mean().item(),
        ((hidden > 0).sum(0) == 0).float().mean().item(),
    )
