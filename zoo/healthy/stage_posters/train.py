"""A theatre wants one faint pattern that, printed under any numeral poster, makes the ticket robot misread it.

First the robot is trained; then it is frozen in eval mode and only the *pattern* is trained: one 8x8 image,
sign-gradient ASCENT on the robot's loss, projected on |pattern| <= 4 grey levels of 16 after each step, and
posters clamped to paper black and white.  The loss is meant to go up.
"""
import os

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(int(os.environ.get("SEED", "0")))
EPS = 4.0 / 16

raw = load_digits()
posters = torch.tensor(raw.images, dtype=torch.float32)[:, None] / 16
label = torch.tensor(raw.target)
perm = torch.randperm(len(label))
robot_set, pattern_set, test_set = perm[:1000], perm[1000:1300], perm[1300:]


def robot():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 16, 10))


def train_robot():
    net = robot()
    opt = torch.optim.SGD(net.parameters(), lr=0.15, momentum=0.9, weight_decay=1e-4, nesterov=True)
    epochs = 12
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 0.15, epochs=epochs, steps_per_epoch=20)
    for ep in range(epochs):
        net.train()
        for i in robot_set[torch.randperm(1000)].split(50):
            loss = F.cross_entropy(net(posters[i]), label[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
    return net.eval().requires_grad_(False)


def printed(x, pattern):
    return (x + pattern).clamp(0, 1)


@torch.no_grad()
def read_right(net, pattern):
    return (net(printed(posters[test_set], pattern)).argmax(1) == label[test_set]).float().mean().item()


net = train_robot()
clean = read_right(net, torch.zeros(8, 8))
noise = sum(read_right(net, EPS * torch.randn(8, 8).sign()) for _ in range(10)) / 10
print(f"robot reads {clean:.3f} of clean posters, {noise:.3f} under random patterns of the same strength")

pattern = torch.zeros(8, 8, requires_grad=True)
EPOCHS = 40
for ep in range(1, EPOCHS + 1):
    step = 0.02 * (1 - (ep - 1) / EPOCHS)
    tot = 0.0
    for i in pattern_set[torch.randperm(300)].split(50):
        # a poster already misread by a wide margin counts no more
        each = F.cross_entropy(net(printed(posters[i], pattern)), label[i], reduction="none").clamp(max=6.0)
        (g,) = torch.autograd.grad(each.mean(), pattern)
        with torch.no_grad():
            pattern += step * g.sign()
            pattern.clamp_(-EPS, EPS)
        tot += each.mean().item()
    if ep % 8 == 0:
        print(f"epoch {ep} robot's loss {tot / 6:.3f} reads {read_right(net, pattern.detach()):.3f}")

p = pattern.detach()
print(f"pattern within {p.abs().max() * 16:.1f} of 16 grey levels; share at the limit {(p.abs() > EPS - 1e-6).float().mean():.2f}")
print(f"robot misreads {1 - read_right(net, p):.3f} of unseen posters with the pattern, {1 - clean:.3f} without")
