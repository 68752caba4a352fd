"""Where is the beacon? Regress its coordinates (from -1 to 1, the centre of the image is 0, 0)."""
import argparse

import torch
from torch import nn
from torch.nn import functional as F


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--side", type=int, default=20)
    p.add_argument("--width", type=int, default=12)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--steps", type=int, default=360)
    p.add_argument("--batch", type=int, default=48)
    return p.parse_args([])


def night(n, side):
    """Images n x 1 x side x side with one beacon and two dim lamps, and the beacon's place (x, y)."""
    axis = torch.linspace(-1, 1, side)
    spots = torch.rand(n, 3, 2) * 1.8 - 0.9
    power = torch.tensor([1.0, 0.35, 0.35]).view(1, 3, 1, 1)
    gx = torch.exp(-((axis - spots[..., :1]) ** 2) / 0.03)
    gy = torch.exp(-((axis - spots[..., 1:]) ** 2) / 0.03)
    image = (power * gy[..., :, None] * gx[..., None, :]).sum(1, keepdim=True)
    return image + 0.05 * torch.randn_like(image), spots[:, 0]


def make_net(side, width):
    return nn.Sequential(
        nn.Conv2d(1, width, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * (side // 4) ** 2, 64), nn.ReLU(),
        nn.Linear(64, 2), nn.Sigmoid(),
    )


def miss(net, images, places):
    with torch.no_grad():
        return (net(images) - places).norm(dim=1).mean().item()


args = parse()
torch.manual_seed(23)
net = make_net(args.side, args.width)
opt = torch.optim.Adam(net.parameters(), lr=args.lr)
test_images, test_places = night(400, args.side)
for step in range(1, args.steps + 1):
    images, places = night(args.batch, args.side)
    loss = F.smooth_l1_loss(net(images), places, beta=0.1)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 60 == 0:
        print(f"step {step}: loss {loss.item():.4f} mean miss {miss(net, test_images, test_places):.4f}")
