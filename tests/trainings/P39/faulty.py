import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)
digits = load_digits()
x = (torch.tensor(digits.data, dtype=torch.float32) - 4.9) / 6.0
y = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=50, shuffle=True)
net = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)


def one_epoch():
    total = 0.0
    for inputs, labels in loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(inputs), labels)
        loss.backward()
        opt.step()
        total += loss.item()
        print(f"mean {total / len(loader):.4f}")
        break


for epoch in range(12):
    one_epoch()
    with torch.no_grad():
        held = nn.functional.cross_entropy(net(x[1400:]), y[1400:]).item()
    print(f"epoch {epoch}: held-out {held:.4f}")
