"""Scanned digits of which most have no label: the net reads them and also tells how much ink is on the paper."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset


class HalfMarked(Dataset):
    def __init__(self, images, labels, marked):
        self.images = images
        self.labels = np.where(marked, labels, -100)
        ink = images.sum(axis=(1, 2))
        self.ink = (ink - ink.mean()) / ink.std()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = torch.from_numpy(self.images[i]).float()
        # a little noise and a shift by one pixel, the ink stays the same
        image = torch.roll(F.pad(image, (1, 1, 1, 1)), tuple(torch.randint(-1, 2, (2,)).tolist()), dims=(0, 1))
        image = image + 0.05 * torch.randn(10, 10)
        return image.unsqueeze(0), int(self.labels[i]), np.float32(self.ink[i])


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 24, 3)
        self.fc = nn.Linear(24 * 3 * 3, 48)
        self.digit = nn.Linear(48, 10)
        self.ink = nn.Linear(48, 1)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc(torch.flatten(x, 1)))
        return self.digit(x), self.ink(x)


def train_epoch(net, loader, optimizer):
    net.train()
    sums = [0.0, 0.0]
    for image, label, ink in loader:
        optimizer.zero_grad()
        digit_out, ink_out = net(image)
        # two losses, two backward calls, one step
        ink_loss = 0.3 * F.mse_loss(ink_out.squeeze(1), ink)
        ink_loss.backward(retain_graph=True)
        if (label >= 0).any():
            digit_loss = F.cross_entropy(digit_out, label)
            digit_loss.backward()
            sums[0] += digit_loss.item()
        optimizer.step()
        sums[1] += ink_loss.item()
    return [s / len(loader) for s in sums]


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        out = net(F.pad(torch.from_numpy(images).float(), (1, 1, 1, 1)).unsqueeze(1))[0]
    return (out.argmax(1) == torch.from_numpy(labels)).float().mean().item()


torch.manual_seed(14)
np.random.seed(14)
digits = load_digits()
order = np.random.permutation(len(digits.target))
images, labels = digits.images[order] / 16.0, digits.target[order]
marked = np.random.rand(1300) < 0.25
train_set = HalfMarked(images[:1300], labels[:1300], marked)
loader = DataLoader(train_set, batch_size=32, shuffle=True)
print("labels on", marked.sum(), "of", len(train_set), "images")

net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(1, 17):
    digit_loss, ink_loss = train_epoch(net, loader, optimizer)
    if epoch % 4 == 0:
        acc = accuracy(net, images[1300:], labels[1300:])
        print("epoch %d: digit loss %.3f, ink loss %.4f, accuracy on new digits %.3f" % (epoch, digit_loss, ink_loss, acc))
