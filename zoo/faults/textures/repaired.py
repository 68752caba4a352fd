import argparse
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", default=8, type=int)
parser.add_argument("--lr", default=0.003, type=float)
parser.add_argument("--width", default=16, type=int)
cfg = parser.parse_args()


class Conv(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.c1 = nn.Conv2d(1, w, 3, padding=1)
        self.c2 = nn.Conv2d(w, 2 * w, 3, padding=1)
        self.pool = nn.AvgPool2d(2)
        self.fc1 = nn.Linear(2 * w * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.c1(x)))
        x = self.pool(torch.relu(self.c2(x)))
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def accuracy(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


torch.manual_seed(0)
d = load_digits()
img = (torch.tensor(d.images, dtype=torch.float32)[:, None] - 4.9) / 6.0
lab = torch.tensor(d.target)
p = torch.randperm(len(lab))
train = DataLoader(TensorDataset(img[p[:1450]], lab[p[:1450]]), batch_size=50, shuffle=True)
test = DataLoader(TensorDataset(img[p[1450:]], lab[p[1450:]]), batch_size=200)
net = Conv(cfg.width)
lossf = nn.CrossEntropyLoss()
opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
for e in range(cfg.epochs):
    net.train()
    for i, (x, y) in enumerate(train):
        opt.zero_grad()
        loss = lossf(net(x), y)
        loss.backward()
        opt.step()
        if i % 10 == 0:
            print(f"epoch {e} it {i} loss {loss.item():.4f}")
    print(f"epoch {e} test accuracy {accuracy(net, test):.3f}")
