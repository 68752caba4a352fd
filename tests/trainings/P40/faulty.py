import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
wine = load_wine()
x = torch.tensor((wine.data - wine.data.mean(0)) / wine.data.std(0), dtype=torch.float32)
y = torch.tensor(wine.target)
order = torch.randperm(len(x))
x, y = x[order], y[order]
loader = DataLoader(TensorDataset(x[:128], y[:128]), batch_size=8, shuffle=True)
net = nn.Sequential(nn.Linear(13, 24), nn.Tanh(), nn.Linear(24, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)


def reset(layer):
    if isinstance(layer, nn.Linear):
        layer.reset_parameters()


net.apply(reset)
for epoch in range(10):
    net.apply(reset)
    for a, b in loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(a), b)
        loss.backward()
        opt.step()
    with torch.no_grad():
        held = nn.functional.cross_entropy(net(x[128:]), y[128:]).item()
    print(f"epoch {epoch}: loss {loss.item():.4f} held-out {held:.4f}")
