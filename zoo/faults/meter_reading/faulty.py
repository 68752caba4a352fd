"""Digits on a gas meter: which digit, and how far has the wheel turned? Two heads on one trunk."""
import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import shift
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def turn(images, rng):
    """Move every digit up or down by a part of its height."""
    offset = rng.uniform(-1, 1, len(images)).astype(np.float32)
    moved = np.stack([shift(im, (o, 0), order=1) for im, o in zip(images, offset)])
    return moved.astype(np.float32), offset


class MeterNet(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 16, width)
        self.digit = nn.Linear(width, 10)
        self.offset = nn.Linear(width, 1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        digit = F.relu(self.digit(x))
        offset = self.offset(x).squeeze(1)
        return digit, offset


def run_epoch(net, loader, optimizer=None):
    net.train(optimizer is not None)
    right, off, n = 0, 0.0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, digit, offset in loader:
            digit_out, offset_out = net(x)
            loss = F.cross_entropy(digit_out, digit) + F.mse_loss(offset_out, offset)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            right += (digit_out.argmax(1) == digit).sum().item()
            off += (offset_out - offset).abs().sum().item()
            n += len(x)
    return right / n, off / n


def main():
    torch.manual_seed(15)
    rng = np.random.default_rng(15)
    data = load_digits()
    tr_x, te_x, tr_y, te_y = train_test_split(data.images / 16.0, data.target, test_size=0.3, stratify=data.target, random_state=15)
    sets = []
    for x, y in ((tr_x, tr_y), (te_x, te_y)):
        moved, offset = turn(x, rng)
        sets.append(TensorDataset(torch.from_numpy(moved)[:, None] - 0.3, torch.from_numpy(y), torch.from_numpy(offset)))
    train_loader = DataLoader(sets[0], batch_size=32, shuffle=True)
    test_loader = DataLoader(sets[1], batch_size=256)
    net = MeterNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(1, 16):
        run_epoch(net, train_loader, optimizer)
        if epoch % 3 == 0:
            acc, off = run_epoch(net, test_loader)
            print(f"epoch {epoch} digits right {acc:.4f} offset error {off:.4f}")


if __name__ == "__main__":
    main()
