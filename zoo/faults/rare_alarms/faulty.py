"""Three kinds of alarm of a pump station, one of them rare."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler


class AlarmDataset(Dataset):
    def __init__(self, n, mean=None, std=None):
        y = np.random.choice(3, size=n, p=[0.80, 0.16, 0.04])
        t = np.linspace(0, 1, 32)
        pressure = np.random.uniform(0.5, 1.5, (n, 1)) + 0.25 * np.random.randn(n, 32)
        onset = np.random.uniform(0.1, 0.6, (n, 1))
        pressure += np.where(y[:, None] == 1, 0.8 * (t > onset), 0)
        pressure += np.where(y[:, None] == 2, 0.8 * np.exp(-((t - onset - 0.1) / 0.08) ** 2), 0)
        self.mean = pressure.mean() if mean is None else mean
        self.std = pressure.std() if std is None else std
        self.x = torch.tensor((pressure - self.mean) / self.std, dtype=torch.float32)
        self.y = torch.tensor(y)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return self.x[index].unsqueeze(0), self.y[index]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(16, 24, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2),
        )
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(24 * 8, 40), nn.ReLU(), nn.Dropout(0.2), nn.Linear(40, 3))

    def forward(self, x):
        return self.fc(self.conv(x))


def recall_per_class(net, loader):
    net.eval()
    hits, total = np.zeros(3), np.zeros(3)
    with torch.no_grad():
        for x, y in loader:
            pred = net(x).argmax(1)
            for c in range(3):
                hits[c] += ((pred == c) & (y == c)).sum().item()
                total[c] += (y == c).sum().item()
    return hits / total


def train(epochs=9, batch_size=40):
    train_set = AlarmDataset(2400)
    test_set = AlarmDataset(1200, train_set.mean, train_set.std)

    class_count = torch.bincount(train_set.y)
    class_weights = 1.0 / class_count.float()
    sampler = WeightedRandomSampler(class_weights, len(train_set))
    train_loader = DataLoader(train_set, batch_size=batch_size, sampler=sampler)
    test_loader = DataLoader(test_set, batch_size=200, shuffle=False)

    net = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    for epoch in range(epochs):
        net.train()
        losses = []
        for x, y in train_loader:
            loss = criterion(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        recall = recall_per_class(net, test_loader)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, recall {recall.round(2)}, mean {recall.mean():.4f}")


if __name__ == "__main__":
    torch.manual_seed(15)
    np.random.seed(15)
    train()
