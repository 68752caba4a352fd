import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Wines(Dataset):
    def __init__(self, indices):
        wine = load_wine()
        values = torch.tensor(wine.data, dtype=torch.float32)
        values = (values - values.mean(0)) / values.std(0)
        self.values = values[indices]
        self.labels = torch.tensor(wine.target)[indices]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"x": self.values[i], "y": self.labels[i]}


torch.manual_seed(7)
order = torch.randperm(178)
train = DataLoader(Wines(order[:140]), batch_size=20, shuffle=True, drop_last=True)
test = DataLoader(Wines(order[140:]), batch_size=38)
net = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

for epoch in range(15):
    net.train()
    for batch in train:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        right = sum((net(b["x"]).argmax(1) == b["y"]).sum().item() for b in test)
    print(epoch, round(loss.item(), 3), "correct", right, "of 38")
