import argparse

import numpy as np
import torch
import torch.nn as nn
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Dataset


class VeinDataset(Dataset):
    """Slices of tissue whose brightness tells how much of them is vein."""

    def __init__(self, count, seed, side=20):
        rng = np.random.default_rng(seed)
        field = gaussian_filter(rng.standard_normal((count, side, side)), (0, 1.6, 1.6))
        field /= field.std((1, 2), keepdims=True)
        bias = rng.normal(0, 1.1, (count, 1, 1))
        self.mask = (field + bias > 0).astype(np.float32)
        image = field + bias + 0.5 * rng.standard_normal(field.shape)
        self.image = (image / 1.5).astype(np.float32)

    def __len__(self):
        return len(self.image)

    def __getitem__(self, i):
        return self.image[i][None], self.mask[i][None]


def conv_bn(c_in, c_out, stride=1):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)
    )


class SmallUNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.down1 = conv_bn(1, c)
        self.down2 = conv_bn(c, 2 * c, stride=2)
        self.middle = conv_bn(2 * c, 2 * c)
        self.up = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
        self.fuse = conv_bn(2 * c, c)
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        skip = self.down1(x)
        h = self.up(self.middle(self.down2(skip)))
        return self.out(self.fuse(torch.cat([h, skip], dim=1)))


def dice(logits, mask):
    hit = (logits > 0).float()
    both = (hit * mask).sum((1, 2, 3))
    return ((2 * both + 1) / (hit.sum((1, 2, 3)) + mask.sum((1, 2, 3)) + 1)).mean()


def main(args):
    torch.manual_seed(args.seed)
    train = DataLoader(VeinDataset(args.slices, args.seed), batch_size=args.batch_size, shuffle=True)
    val = DataLoader(VeinDataset(100, args.seed + 1), batch_size=25)
    net = SmallUNet()
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        net.train()
        total = 0.0
        for image, mask in train:
            optimizer.zero_grad()
            loss = criterion(net(image), mask)
            loss.backward()
            optimizer.step()
            total += loss.item()
        net.eval()
        with torch.no_grad():
            scores = [dice(net(image), mask).item() for image, mask in val]
        print(f"epoch {epoch} train loss {total / len(train):.4f} val dice {np.mean(scores):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--slices", type=int, default=240)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=9)
    main(parser.parse_args())
