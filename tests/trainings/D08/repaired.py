"""Two moons with a few outliers, a held-out part is scored after each round."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons

torch.manual_seed(11)
points, labels = make_moons(n_samples=900, noise=0.25, random_state=4)
points = torch.tensor(points, dtype=torch.float32)
labels = torch.tensor(labels)
order = torch.randperm(len(points))
test_rows = order[:200]
train_rows = order[200:]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one = torch.nn.Linear(2, 40)
        self.two = torch.nn.Linear(40, 40)
        self.out = torch.nn.Linear(40, 2)

    def forward(self, x):
        return self.out(F.relu(self.two(F.relu(self.one(x)))))


net = Net()
sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for epoch in range(20):
    for rows in train_rows[torch.randperm(len(train_rows))].split(50):
        loss = F.cross_entropy(net(points[rows]), labels[rows])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    net.eval()
    with torch.no_grad():
        hits = (net(points[test_rows]).argmax(1) == labels[test_rows]).float().mean()
    net.train()
    print(epoch, f"{loss.item():.4f}", f"{hits.item():.3f}")
