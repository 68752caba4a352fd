"""Sixty labelled digits, a thousand without a label: the network labels those that it is sure of."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

N_LABELLED, N_UNLABELLED = 60, 1000
SURE = 0.9


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.fc1 = nn.Linear(32 * 16, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.drop(x.flatten(1))
        return self.fc2(self.drop(F.relu(self.fc1(x))))


def load():
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target)
    order = np.random.permutation(len(x))
    labelled = np.concatenate([order[digits.target[order] == c][:N_LABELLED // 10] for c in range(10)])
    rest = np.setdiff1d(order, labelled)
    np.random.shuffle(rest)
    return x, y, labelled, rest[:N_UNLABELLED], rest[N_UNLABELLED:]


def disturb(x):
    """Move by one pixel at most, and add noise."""
    dx, dy = np.random.randint(-1, 2, 2)
    moved = F.pad(x, (1, 1, 1, 1))[:, :, 1 + dy:9 + dy, 1 + dx:9 + dx]
    return moved + 0.15 * torch.randn_like(x)


def guess(net, x):
    net.eval()
    with torch.no_grad():
        confidence, label = F.softmax(net(x), dim=1).max(dim=1)
    net.train()
    return label, confidence > SURE


def accuracy(net, x, y):
    label, _ = guess(net, x)
    return (label == y).float().mean().item()


def main():
    np.random.seed(18)
    torch.manual_seed(18)
    x, y, labelled, unlabelled, test = load()
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    used = 0
    for step in range(1, 501):
        a = np.random.choice(labelled, 30, replace=False)
        loss = F.cross_entropy(net(disturb(x[a])), y[a])
        if step > 150:
            u = np.random.choice(unlabelled, 60, replace=False)
            label, sure = guess(net, x[u])
            used += sure.float().mean().item()
            each = F.cross_entropy(net(disturb(x[u])), label, reduction="none")
            loss = loss + (each * sure.float()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print("step %d loss %.3f sure %.2f test accuracy %.4f" % (step, loss.item(), used / 100, accuracy(net, x[test], y[test])))
            used = 0


if __name__ == "__main__":
    main()
