import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class AddingTask(Dataset):
    """Sum of the two marked values in a sequence."""

    def __init__(self, n, length, seed):
        g = torch.Generator().manual_seed(seed)
        self.v = torch.rand(n, length, generator=g)
        self.m = torch.zeros(n, length)
        half = length // 2
        i = torch.randint(0, half, (n,), generator=g)
        j = torch.randint(half, length, (n,), generator=g)
        r = torch.arange(n)
        self.m[r, i] = 1
        self.m[r, j] = 1
        self.y = (self.v * self.m).sum(1, keepdim=True) - 1.0

    def __len__(self):
        return len(self.y)

    def __getitem__(self, k):
        return torch.stack([self.v[k], self.m[k]], -1), self.y[k]


class Net(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.out(h[-1])


def main():
    torch.manual_seed(9)
    train = DataLoader(AddingTask(2000, 10, 0), batch_size=50, shuffle=True)
    val = DataLoader(AddingTask(400, 10, 1), batch_size=400)
    net = Net()
    mse = nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for epoch in range(12):
        net.train()
        running = 0.0
        for x, y in train:
            optimizer.zero_grad()
            pred = net(x)
            loss = mse(pred, y)
            loss.backward()
            optimizer.step()
            running += loss.item()
        net.eval()
        with torch.no_grad():
            x, y = next(iter(val))
            v = mse(net(x), y).item()
        print(f"epoch {epoch}: train mse {running / len(train):.4f}, val mse {v:.4f}")


main()
