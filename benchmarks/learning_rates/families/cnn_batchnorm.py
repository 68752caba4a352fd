"""Handwritten digits as images, convolutions with batch normalization, SGD with momentum and weight decay."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = self.conv(1, 12)
        self.middle = self.conv(12, 24)
        self.last = self.conv(24, 24)
        self.head = nn.Linear(24, 10)

    @staticmethod
    def conv(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        )

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 2)
        x = self.last(self.middle(x))
        return self.head(x.mean((2, 3)))


def evaluate(model, images, digits):
    model.eval()
    with torch.no_grad():
        return (model(images).argmax(1) == digits).float().mean().item()


def main(args):
    torch.manual_seed(args.seed)
    pixels, digits = load_digits(return_X_y=True)
    images, digits = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(digits)
    order = torch.randperm(len(images))
    images, digits = images[order], digits[order]
    loader = DataLoader(TensorDataset(images[:1280], digits[:1280]), batch_size=64, shuffle=True)
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    losses = []
    for epoch in range(15):
        model.train()
        for batch, target in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {losses[-1]:.4f}, accuracy {evaluate(model, images[1280:], digits[1280:]):.3f}")
    print(f"first {losses[0]:.6g} final {sum(losses[-30:]) / 30:.6g} steps {len(losses)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
