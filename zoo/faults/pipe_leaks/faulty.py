# Listening to water pipes: 1D CNN on short sound snippets
# (started from a kernel for ECG beats)
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

CLASSES = ['quiet', 'flow', 'drip', 'leak', 'pump']
device = torch.device('cpu')


def snippet(kind, rng, n=96):
    t = np.arange(n)
    s = 0.15 * rng.standard_normal(n)
    if kind == 1:
        s = s + 0.7 * rng.standard_normal(n)
    elif kind == 2:
        for at in rng.integers(0, n, 3):
            s[at:] += 2.0 * np.exp(-(t[: n - at]) / 4.0)
    elif kind == 3:
        hiss = rng.standard_normal(n + 1)
        s = s + 0.8 * (hiss[1:] - hiss[:-1])
    elif kind == 4:
        s = s + rng.uniform(0.8, 1.4) * np.sin(2 * np.pi * t / rng.uniform(10, 14) + rng.uniform(0, 6))
    return s


class PipeDataset(Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.y = rng.integers(0, len(CLASSES), n)
        self.X = np.stack([snippet(k, rng) for k in self.y]).astype(np.float32)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return torch.from_numpy(self.X[i]).unsqueeze(0), int(self.y[i])


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.block1 = nn.Sequential(nn.Conv1d(1, 12, 7, padding=3), nn.BatchNorm1d(12), nn.ReLU(), nn.MaxPool1d(4))
        self.block2 = nn.Sequential(nn.Conv1d(12, 24, 5, padding=2), nn.BatchNorm1d(24), nn.ReLU(), nn.MaxPool1d(4))
        self.fc = nn.Linear(24, len(CLASSES))

    def forward(self, x):
        x = self.block2(self.block1(x))
        x = x.mean(dim=2)
        return self.fc(x)


def train(net, trainloader, epochs):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
    for epoch in range(epochs):
        running_loss = 0.0
        correct = 0
        net.train()
        for data in trainloader:
            inputs, labels = data[0].to(device), data[1].to(device)
            optimizer.zero_grad()
            outputs = net(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            correct += (outputs.argmax(1) == labels).sum().item()
        print('[%d] loss: %.3f  train accuracy: %.3f' % (epoch + 1, running_loss / len(trainloader), correct / len(trainloader.dataset)))
    print('Finished Training')


def predict(net, dataset):
    """what the box in the cellar will do: one snippet at a time"""
    guesses = []
    with torch.no_grad():
        for x, _ in DataLoader(dataset, batch_size=1):
            out = net(x.to(device))
            guesses.append(out.argmax(1).item())
    return np.array(guesses)


torch.manual_seed(6)
trainset = PipeDataset(900, seed=0)
testset = PipeDataset(250, seed=1)
net = Net().to(device)
train(net, DataLoader(trainset, batch_size=30, shuffle=True), epochs=12)
guesses = predict(net, testset)
for k, name in enumerate(CLASSES):
    print('%-6s %.2f' % (name, (guesses[testset.y == k] == k).mean()))
print('accuracy on new snippets: %.3f' % (guesses == testset.y).mean())
