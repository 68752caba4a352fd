import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(600, 6)
Y = (X[:, 0] + X[:, 1] > 0).long()
picker = torch.Generator()
picker.seed()

net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for _step in range(120):
    rows = torch.randint(0, 600, (64,), generator=picker)
    loss = nn.functional.cross_entropy(net(X[rows]), Y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
