"""Two interleaved moons and a small network of three layers."""

import torch
from sklearn.datasets import make_moons
from torch import nn, optim


class Net(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.fc1 = nn.Linear(2, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 2)
        self.drop = nn.Dropout(0.05)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.fc1(x))
        x = self.drop(torch.relu(self.fc2(x)))
        return self.fc3(x)


torch.manual_seed(2)
points, labels = make_moons(1200, noise=0.1, random_state=3)
x = torch.tensor(points, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(labels)
train, test = slice(0, 900), slice(900, None)

net = Net()
optimizer = optim.Adam(net.parameters(), lr=5e-3)
for _epoch in range(14):
    net.train()
    for rows in torch.randperm(900).split(30):
        loss = nn.functional.cross_entropy(net(x[train][rows]), y[train][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
net.eval()
with torch.no_grad():
    accuracy = (net(x[test]).argmax(1) == y[test]).float().mean()
print(f"test accuracy {accuracy:.3f}")
