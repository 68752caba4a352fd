"""Signals of ships: learn from plenty of clean drawings, then move to a few dark and noisy photographs."""
import torch
from torch import nn

torch.manual_seed(19)
SIDE = 12


def drawing(kind):
    yy, xx = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    im = torch.zeros(SIDE, SIDE)
    r, c = torch.randint(3, SIDE - 3, (2,)).tolist()
    dy, dx = yy - r, xx - c
    if kind == 0:
        im[(dy.abs() <= 3) & (dx.abs() <= 3)] = 1
    elif kind == 1:
        im[dy.abs() + dx.abs() <= 4] = 1
    elif kind == 2:
        im[(dy.abs() <= 1) & (dx.abs() <= 4) | (dx.abs() <= 1) & (dy.abs() <= 4)] = 1
    elif kind == 3:
        im[((dy - dx).abs() <= 1) & (dx.abs() <= 3) | ((dy + dx).abs() <= 1) & (dx.abs() <= 3)] = 1
    elif kind == 4:
        d = dy**2 + dx**2
        im[(d <= 16) & (d >= 6)] = 1
    else:
        im[(dy.abs() <= 3) & (dx.abs() <= 3) & (dy % 2 == 0)] = 1
    return im


def clean(n):
    y = torch.randint(0, 6, (n,))
    x = torch.stack([drawing(int(k)) for k in y])[:, None]
    return x + 0.1 * torch.randn_like(x), y


def photograph(n):
    x, y = clean(n)
    glare = torch.linspace(-1, 1, SIDE) * torch.randn(n, 1, 1, 1)
    return 0.4 - 0.7 * x + 0.5 * glare + 0.15 * torch.randn_like(x), y


class SignNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 16, 48), nn.ReLU(),
        )
        self.head = nn.Linear(48, 6)

    def forward(self, x):
        return self.head(self.backbone(x))


def set_backbone(net, trainable):
    for p in net.backbone.parameters():
        p.requires_grad_(trainable)


def epoch(net, opt, x, y, size=32):
    for i in torch.randperm(len(x)).split(size):
        loss = nn.functional.cross_entropy(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


@torch.no_grad()
def accuracy(net, x, y):
    return (net(x).argmax(1) == y).float().mean().item()


source, target, test = clean(1500), photograph(500), photograph(500)
net = SignNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for e in range(8):
    loss = epoch(net, opt, *source)
print(f"drawings: loss {loss:.3f}, accuracy on photographs {accuracy(net, *test):.3f}")

net.head = nn.Linear(48, 6)
set_backbone(net, False)
opt = torch.optim.Adam(filter(lambda p: p.requires_grad, net.parameters()), lr=1e-3)
for e in range(18):
    if e == 4:  # the head has settled
        set_backbone(net, True)
    loss = epoch(net, opt, *target)
    if e % 3 == 2:
        print(f"photographs, epoch {e + 1}: loss {loss:.3f}, accuracy {accuracy(net, *test):.3f}")
