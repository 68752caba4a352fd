# Pasta sorter, rewritten from my TF1 notebook
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(42)

KINDS = ['penne', 'farfalle', 'orecchiette', 'anelli', 'stelline', 'spaghetti']
SIDE = 24


def picture(kind, g):
    axis = torch.linspace(-1, 1, SIDE)
    v, u = torch.meshgrid(axis, axis, indexing='ij')
    angle = (torch.rand(1, generator=g) * math.pi).item()
    dx, dy, zoom = ((torch.rand(3, generator=g) - 0.5) * torch.tensor([0.3, 0.3, 0.4])).tolist()
    x = ((u - dx) * math.cos(angle) + (v - dy) * math.sin(angle)) * (1 + zoom)
    y = (-(u - dx) * math.sin(angle) + (v - dy) * math.cos(angle)) * (1 + zoom)
    r = torch.sqrt(x * x + y * y)
    if kind == 0:
        d = torch.maximum(x.abs() - 0.7, y.abs() - 0.22)
    elif kind == 1:
        d = torch.maximum(x.abs() - 0.6, y.abs() - 0.12 - 0.5 * x.abs())
    elif kind == 2:
        d = r - 0.5
    elif kind == 3:
        d = (r - 0.5).abs() - 0.13
    elif kind == 4:
        d = r - 0.45 * (1 + 0.45 * torch.cos(5 * torch.atan2(y, x)))
    else:
        d = torch.maximum(x.abs() - 0.9, y.abs() - 0.06)
    img = torch.sigmoid(-d * 25) + 0.25 * torch.randn(SIDE, SIDE, generator=g)
    return img


def make_set(n, g):
    labels = torch.randint(0, len(KINDS), (n,), generator=g)
    images = torch.stack([picture(k, g) for k in labels.tolist()]).unsqueeze(1)
    return images, labels


g = torch.Generator().manual_seed(42)
train_x, train_y = make_set(1400, g)
test_x, test_y = make_set(500, g)
mean, std = train_x.mean(), train_x.std()
train_x, test_x = (train_x - mean) / std, (test_x - mean) / std


class PastaNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, padding=2)
        self.conv2 = nn.Conv2d(8, 24, 3, padding=1)
        self.fc1 = nn.Linear(24 * 6 * 6, 64)
        self.fc2 = nn.Linear(64, len(KINDS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


net = PastaNet()
# same settings as tf.train.AdamOptimizer in the notebook
optimizer = torch.optim.Adam(net.parameters(), lr=0.001, betas=(0.9, 0.999), eps=1.0)
batch_size = 40

for epoch in range(10):
    net.train()
    shuffled = torch.randperm(len(train_x))
    total = 0.0
    for chunk in shuffled.split(batch_size):
        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(net(train_x[chunk]), train_y[chunk])
            loss.backward()
            return loss
        loss = optimizer.step(closure)
        total += loss.item() * len(chunk)
    print('epoch {:2d}: loss {:.4f}'.format(epoch + 1, total / len(train_x)))

net.eval()
with torch.no_grad():
    predicted = net(test_x).argmax(1)
for k, name in enumerate(KINDS):
    hit = (predicted[test_y == k] == k).float().mean().item()
    print('{:12s} {:.2f}'.format(name, hit))
print('test accuracy {:.4f}'.format((predicted == test_y).float().mean().item()))
