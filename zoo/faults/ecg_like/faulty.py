import argparse

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(80).float()
    y = torch.randint(0, 3, (n,), generator=g)
    width = torch.tensor([1.5, 4.0, 9.0])[y][:, None]
    centre = 20 + 40 * torch.rand(n, 1, generator=g)
    x = torch.exp(-((t - centre) / width) ** 2) + 0.3 * torch.randn(n, 80, generator=g)
    return TensorDataset(x.unsqueeze(1), y)


class PulseNet(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.a = nn.Conv1d(1, ch, 9, padding=4)
        self.b = nn.Conv1d(ch, ch, 9, padding=4)
        self.norm = nn.BatchNorm1d(ch)
        self.fc = nn.Linear(ch, 3)

    def forward(self, x):
        x = torch.relu(self.a(x))
        x = torch.relu(self.norm(self.b(x)))
        return self.fc(x.amax(-1))


def train(model, loader, optimizer, scheduler, criterion):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * x.size(0)
    return total / len(loader.dataset)


def test(model, loader):
    model.eval()
    with torch.no_grad():
        good = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return good / len(loader.dataset)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=14)
    ap.add_argument("--lr", type=float, default=0.01)
    ap.add_argument("--gamma", type=float, default=0.5)
    args = ap.parse_args()
    torch.manual_seed(30)
    tr = DataLoader(make(1600, 0), batch_size=40, shuffle=True)
    te = DataLoader(make(400, 1), batch_size=200)
    model = PulseNet(12)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    scheduler = StepLR(optimizer, step_size=5, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        loss = train(model, tr, optimizer, scheduler, nn.CrossEntropyLoss())
        print(f"epoch {epoch} loss {loss:.4f} acc {test(model, te):.3f} lr {scheduler.get_last_lr()[0]:.2e}")


if __name__ == "__main__":
    main()
