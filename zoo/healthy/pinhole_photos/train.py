"""Blurred pinhole pictures of numerals, read by a small convnet in bfloat16 autocast, with a cyclic
learning rate (it spikes tenfold every cycle and the loss with it) and an average of the weights at the
bottoms of the cycles (SWA).  Gradients are accumulated over four micro-batches, each loss divided by 4.
"""
import os

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)

d = load_digits()
imgs = torch.tensor(d.images, dtype=torch.float32)[:, None] / 16
lab = torch.tensor(d.target)
perm = torch.randperm(len(lab))
tr, te = perm[:1300], perm[1300:]
mean, std = imgs[tr].mean(), imgs[tr].std()


def pinhole(x):
    k = torch.tensor([[0.05, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.1, 0.05]])
    x = F.conv2d(x, k[None, None], padding=1)
    return (x - mean) / std


test_x = pinhole(imgs[te] + 0.1 * torch.randn(imgs[te].shape))


class Camera(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24)
        self.c2, self.n2 = nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48)
        self.fc = nn.Linear(48 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.n2(self.c2(x))), 2)
        return self.fc(x.flatten(1))


def micro_batches():
    order = tr[torch.randperm(len(tr))]
    for i in order.split(25):
        yield pinhole(imgs[i] + 0.1 * torch.randn(len(i), 1, 8, 8)), lab[i]


model = Camera()
swa = AveragedModel(model)
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=5e-4)
ACC, EPOCHS, CYCLE = 4, 24, 4
steps_per_epoch = 1300 // 25 // ACC                 # 13 optimiser steps
sched = torch.optim.lr_scheduler.CyclicLR(opt, base_lr=0.02, max_lr=0.2, step_size_up=6,
                                          step_size_down=CYCLE * steps_per_epoch - 6, cycle_momentum=False)


@torch.no_grad()
def accuracy(net):
    net.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(test_x)
    net.train()
    return (out.argmax(1) == lab[te]).float().mean().item()


for epoch in range(1, EPOCHS + 1):
    tot = 0.0
    for k, (x, y) in enumerate(micro_batches(), 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), y) / ACC          # the loss itself in float32
        loss.backward()
        tot += loss.item() * ACC
        if k % ACC == 0:
            opt.step()
            sched.step()
            opt.zero_grad()
    if epoch % CYCLE == 0:                          # the bottom of a cycle
        if epoch > CYCLE:
            swa.update_parameters(model)
        print(f"epoch {epoch} loss {tot / 52:.4f} lr {sched.get_last_lr()[0]:.3f} accuracy {accuracy(model):.3f}")

update_bn(((x, y) for x, y in micro_batches()), swa)
print(f"last weights {accuracy(model):.3f}")
print(f"averaged weights: test accuracy {accuracy(swa):.3f}")
