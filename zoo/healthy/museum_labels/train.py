"""A museum has 1000 catalogued photographs of objects 0-4 and only 20 each of objects 5-9.

Stage 1: train a convnet on the well-catalogued half.  Stage 2: new head, backbone frozen and kept in
eval() so BatchNorm statistics stay those of the big set.  Stage 3: unfreeze the last block with a
small learning rate for a few epochs.  The backbone's statistics remain frozen to the end.
"""
import os
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
d = load_digits()
X = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1)
Y = torch.tensor(d.target)


def pick(classes, per_class, skip=0):
    ids = []
    for c in classes:
        where = (Y == c).nonzero().squeeze(1)
        where = where[torch.randperm(len(where), generator=torch.Generator().manual_seed(SEED + 10 * c))]
        ids.append(where[skip:skip + per_class])
    ids = torch.cat(ids)
    return X[ids], Y[ids] - min(classes)


big_x, big_y = pick(range(5), 140)
big_vx, big_vy = pick(range(5), 35, skip=140)
few_x, few_y = pick(range(5, 10), 20)
test_x, test_y = pick(range(5, 10), 150, skip=20)

mean, std = big_x.mean(), big_x.std()      # one pair of numbers, from the big training set, for everything
big_x, big_vx, few_x, test_x = ((t - mean) / std for t in (big_x, big_vx, few_x, test_x))


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2))
        self.block2 = nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(256, classes)

    def forward(self, x):
        return self.head(self.block2(self.block1(x)).flatten(1))


def jitter(x):
    """Shift by one pixel at most."""
    dx, dy = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(F.pad(x, (1, 1, 1, 1), value=float(-mean / std)), (dy, dx), (2, 3))[:, :, 1:-1, 1:-1]


@torch.no_grad()
def accuracy(net, x, y):
    was = net.training
    net.eval()
    a = (net(x).argmax(1) == y).float().mean().item()
    if was:
        net.train()
    return a


def fit(net, opt, x, y, epochs, batch, mode, tag):
    for ep in range(epochs):
        mode()
        tot = 0.0
        parts = torch.randperm(len(x)).split(batch)
        for idx in parts:
            loss = F.cross_entropy(net(jitter(x[idx])), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item()
        if (ep + 1) % max(1, epochs // 3) == 0:
            print(f"{tag} epoch {ep + 1} loss {tot / len(parts):.4f}")


net = Net(5)
fit(net, torch.optim.Adam(net.parameters(), 2e-3), big_x, big_y, 12, 50, net.train, "stage 1")
print(f"objects 0-4: validation accuracy {accuracy(net, big_vx, big_vy):.3f}")

net.head = nn.Linear(256, 5)
net.block1.requires_grad_(False)
net.block2.requires_grad_(False)
fit(net, torch.optim.Adam(net.head.parameters(), 3e-3), few_x, few_y, 60, 25, net.eval, "stage 2")
frozen = accuracy(net, test_x, test_y)

net.block2.requires_grad_(True)             # block1 stays frozen for good
opt = torch.optim.Adam([{"params": net.head.parameters(), "lr": 1e-3},
                        {"params": net.block2.parameters(), "lr": 3e-4}])
fit(net, opt, few_x, few_y, 90, 25, net.eval, "stage 3")
print(f"objects 5-9, 20 photographs each: frozen {frozen:.3f}")
print(f"test accuracy after unfreezing {accuracy(net, test_x, test_y):.3f}")
