"""Sixty labelled digits and a thousand without a label: the student agrees with the running average of itself."""
import copy
import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(71)
pixels, marks = load_digits(return_X_y=True)
images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
marks = torch.tensor(marks)
order = torch.randperm(len(images))
test, pool = order[:500], order[500:]
# six of each digit have a label
labelled = torch.cat([pool[marks[pool] == d][:6] for d in range(10)])


def jitter(x):
    """Shift each image by up to one pixel, change its contrast, add noise."""
    n = len(x)
    padded = F.pad(x, (1, 1, 1, 1))
    dy, dx = torch.randint(0, 3, (2, n, 1, 1))
    rows = dy + torch.arange(8)[None, :, None]
    cols = dx + torch.arange(8)[None, None, :]
    moved = padded[torch.arange(n)[:, None, None], 0, rows, cols].unsqueeze(1)
    return moved * (0.8 + 0.4 * torch.rand(n, 1, 1, 1)) + 0.05 * torch.randn_like(x)


student = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(), nn.Flatten(),
    nn.Dropout(0.2), nn.Linear(32 * 16, 10),
)  # fmt: skip
teacher = copy.deepcopy(student).requires_grad_(False).eval()
optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
STEPS, RAMP, WEIGHT = 360, 200, 4.0


def accuracy(net):
    was = net.training
    net.eval()
    with torch.no_grad():
        right = (net(images[test]).argmax(1) == marks[test]).float().mean().item()
    net.train(was)
    return right


for step in range(1, STEPS + 1):
    some = labelled[torch.randint(len(labelled), (40,))]
    free = pool[torch.randint(len(pool), (60,))]
    known = F.cross_entropy(student(jitter(images[some])), marks[some])
    with torch.no_grad():
        wanted = teacher(jitter(images[free])).softmax(1)
    agreement = (student(jitter(images[free])).softmax(1) - wanted).pow(2).sum(1).mean()
    ramp = math.exp(-5 * (1 - min(1.0, step / RAMP)) ** 2)
    loss = known + WEIGHT * ramp * agreement

    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    keep = min(0.97, 1 - 1 / (step + 1))
    with torch.no_grad():
        for t, s in zip(teacher.parameters(), student.parameters(), strict=True):
            t.lerp_(s, 1 - keep)
    if step % 60 == 0:
        print(
            f"step {step} known {known.item():.3f} agreement {agreement.item():.4f} "
            f"student {accuracy(student):.3f} teacher {accuracy(teacher):.3f}"
        )
