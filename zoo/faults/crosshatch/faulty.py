import math

import torch
from torch import nn, optim

torch.manual_seed(9)


class Hatching:
    """Patches of hatched paper; the class is the angle of the lines, in steps of 30 degrees."""

    def __init__(self, n, size=16):
        self.labels = torch.randint(6, (n,))
        angle = self.labels * math.pi / 6 + 0.08 * torch.randn(n)
        freq = 0.8 + 0.6 * torch.rand(n)
        r = torch.arange(size) - size / 2
        v, u = torch.meshgrid(r, r, indexing="ij")
        along = angle.cos()[:, None, None] * u + angle.sin()[:, None, None] * v
        lines = torch.sin(freq[:, None, None] * along + 6.28 * torch.rand(n)[:, None, None])
        self.images = (lines + 0.6 * torch.randn(n, size, size)).unsqueeze(1)

    def __iter__(self):
        for rows in torch.randperm(len(self.labels)).split(40):
            yield self.images[rows], self.labels[rows]


def conv3(c_in, c_out, stride=1):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.ReLU(inplace=True))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv3(1, 12), conv3(12, 12), conv3(12, 16, 2), conv3(16, 16), conv3(16, 24, 2), conv3(24, 24), conv3(24, 24)
        )
        self.classifier = nn.Linear(24, 6)
        self._initialize_weights()

    def _initialize_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


train, test = Hatching(1200), Hatching(400)
net = Net()
optimizer = optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    net.train()
    for images, labels in train:
        loss = criterion(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        hits = sum((net(images).argmax(1) == labels).sum().item() for images, labels in test)
    print(f"epoch {epoch} loss {loss.item():.3f} test {hits / len(test.labels):.3f}")
