"""Handwritten digits with a small convolutional network, functional style."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
train, test = order[:1500], order[1500:]
mean, std = images[train].mean(), images[train].std()
images = (images - mean) / std


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def run_epoch(net, optimizer, batch=64):
    net.train()
    shuffled = train[torch.randperm(len(train))]
    losses = []
    for i in range(0, len(shuffled) - batch + 1, batch):
        pick = shuffled[i : i + batch]
        output = net(images[pick])
        loss = F.cross_entropy(output, labels[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def evaluate(net):
    net.eval()
    with torch.no_grad():
        return (net(images[test]).argmax(1) == labels[test]).float().mean().item()


net = ConvNet()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(5):
    loss = run_epoch(net, optimizer)
    print(f"{epoch}: loss {loss:.3f}, test accuracy {evaluate(net):.3f}")
