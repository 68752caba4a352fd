import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Houses(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        area = 60 + 40 * torch.randn(n, generator=g).clamp(-1.2, 3)
        age = 60 * torch.rand(n, generator=g)
        dist = 20 * torch.rand(n, generator=g)
        rooms = (area / 25 + torch.randn(n, generator=g)).clamp(1, 8).round()
        price = 2500 * area + 9000 * rooms - 900 * age - 4000 * dist + 150000
        price = price + 8000 * torch.randn(n, generator=g)
        x = torch.stack([area, age, dist, rooms], 1)
        self.x = (x - torch.tensor([62.0, 30.0, 10.0, 2.6])) / torch.tensor([36.0, 17.0, 5.8, 1.6])
        self.y = price.unsqueeze(1)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class PriceNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


def r2_score(model, loader):
    model.eval()
    p, t = [], []
    with torch.no_grad():
        for x, y in loader:
            p.append(model(x))
            t.append(y)
    p, t = torch.cat(p), torch.cat(t)
    return (1 - (p - t).pow(2).sum() / (t - t.mean()).pow(2).sum()).item()


def main():
    torch.manual_seed(50)
    train = DataLoader(Houses(1200, 0), batch_size=40, shuffle=True)
    test = DataLoader(Houses(300, 1), batch_size=300)
    model = PriceNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    for epoch in range(20):
        model.train()
        losses = 0.0
        for x, y in train:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            losses += loss.item()
        print(f"epoch {epoch}: loss {losses / len(train):.4g} r2 {r2_score(model, test):.3f}")


main()
