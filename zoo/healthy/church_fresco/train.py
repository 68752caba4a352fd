"""Clean one photograph of a fresco with a deep image prior: a network is fitted to the single noisy picture."""
import math
import os
import random

import numpy as np
import torch
from torch import nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

SIDE = 32


def paint():
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    img = 0.3 + 0.2 * yy
    for _ in range(5):
        cx, cy, r, tone = random.uniform(-0.7, 0.7), random.uniform(-0.7, 0.7), random.uniform(0.2, 0.5), random.random()
        img = torch.where((xx - cx) ** 2 + (yy - cy) ** 2 < r * r, torch.tensor(tone), img)
    return img[None, None]


clean = paint()
SIGMA = 0.15  # of the camera, known
noisy = clean + SIGMA * torch.randn_like(clean)


def psnr(a, b):
    return -10 * math.log10((a - b).pow(2).mean().item())


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(o), nn.LeakyReLU(0.1))


net = nn.Sequential(
    block(8, 24),
    nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), block(24, 24),
    nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), block(24, 24),
    nn.Conv2d(24, 1, 1), nn.Sigmoid(),
)
z = torch.rand(1, 8, SIDE // 4, SIDE // 4)  # the same for the whole run
optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

average, level = None, 1.0
net.train()  # statistics of the one picture are the right ones
for step in range(1, 1501):
    out = net(z + 0.02 * torch.randn_like(z))
    loss = nn.functional.mse_loss(out, noisy)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    shown = out.detach()
    average = shown.clone() if average is None else average.mul_(0.9).add_(shown, alpha=0.1)
    level = 0.95 * level + 0.05 * loss.item()
    if step % 40 == 0:
        print(f"step {step} loss {loss.item():.5f} psnr of the picture {psnr(shown, clean):.2f} of the average {psnr(average, clean):.2f}")
    if level < SIGMA ** 2:  # from here on it would only paint the noise
        print(f"stopped at step {step}")
        break

print(f"noisy picture {psnr(noisy, clean):.2f} dB")
print(f"gain over the noisy picture {psnr(average, clean) - psnr(noisy, clean):.3f} dB")
