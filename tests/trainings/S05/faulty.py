import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
X, Y = load_digits(return_X_y=True)
X = (torch.tensor(X, dtype=torch.float32) - 5) / 6
Y = torch.tensor(Y)

net = nn.Sequential(
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Dropout(0.99),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Dropout(0.99),
    nn.LayerNorm(64),
    nn.Linear(64, 10),
)
optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
for _epoch in range(4):
    order = torch.randperm(len(X))
    for i in range(0, len(X) - 63, 64):
        rows = order[i : i + 64]
        loss = nn.functional.cross_entropy(net(X[rows]), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
