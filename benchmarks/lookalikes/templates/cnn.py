"""Recognize shapes in the frames of a 16-bit camera."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

PEDESTAL, GAIN = 9000.0, 260.0


def frames(count, seed):
    """Frames of 16 x 16 pixels in camera counts, the shape in each, and its size in micrometres."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(0, 6, count)
    half = rng.uniform(3.0, 6.0, count)
    cx, cy = rng.uniform(6.5, 8.5, (2, count))
    y, x = np.mgrid[:16, :16]
    dx, dy = np.abs(x - cx[:, None, None]), np.abs(y - cy[:, None, None])
    size = half[:, None, None]
    radius = np.hypot(dx, dy)
    drawn = np.select(
        [shape[:, None, None] == k for k in range(6)],
        [
            radius < size,
            np.abs(radius - size) < 1.0,
            np.maximum(dx, dy) < size,
            (np.minimum(dx, dy) < 1.0) & (np.maximum(dx, dy) < size),
            dx + dy < size,
            (np.abs(dx - dy) < 1.0) & (np.maximum(dx, dy) < size),
        ],
    )
    counts = PEDESTAL + GAIN * (drawn + 0.35 * rng.standard_normal((count, 16, 16)))  #: raw
    return counts[:, None].astype(np.float32), shape, (20 * half).astype(np.float32)


class ShapeNet(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.hidden = nn.Linear(24 * 4 * 4, 64)
        self.norm = nn.Identity()  #: norm
        self.dropout = nn.Dropout(0.1)  #: dropout
        self.head = nn.Linear(64, outputs)  #: head

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  #: features
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  #: features
        x = F.relu(self.norm(self.hidden(x.flatten(1))))  #: hidden
        x = self.dropout(x)  #: drop
        return self.head(x)  #: output


def prepare(images):
    return torch.from_numpy((images - PEDESTAL) / GAIN)  #: normalize


def load(batch_size, seed):
    images, shapes, sizes = frames(2400, seed)  #: train_frames
    test_images, test_shapes, test_sizes = frames(600, seed + 1000)
    inputs, labels = prepare(images), torch.from_numpy(shapes)  #: train_tensors
    test_inputs, test_labels = prepare(test_images), torch.from_numpy(test_shapes)  #: test_tensors
    order = torch.argsort(test_labels)
    train_set = TensorDataset(inputs, labels)
    test_set = TensorDataset(test_inputs[order], test_labels[order])
    return (
        DataLoader(train_set, batch_size=batch_size, shuffle=True, drop_last=True),
        DataLoader(test_set, batch_size=60),
    )


def objective(output, target):
    return F.cross_entropy(output, target)  #: objective


def train_epoch(model, loader, optimizer, scheduler):
    model.train()
    total = 0.0
    for inputs, labels in loader:
        output = model(inputs)  #: forward
        loss = objective(output, labels)  #: loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()  #: eval
    outputs, labels = [], []
    for inputs, targets in loader:  #: evaluation
        outputs.append(model(inputs))  #: evaluation
        labels.append(targets)
    output, label = torch.cat(outputs), torch.cat(labels)
    score = (output.argmax(1) == label).float().mean().item()  #: score
    return objective(output, label).item(), score


def main(seed=0, epochs=8, batch_size=64):  #: settings
    torch.manual_seed(seed)
    train_loader, test_loader = load(batch_size, seed)
    model = ShapeNet(outputs=6)  #: build
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)  #: optimizer
    scheduler = None  #: schedule
    for epoch in range(1, epochs + 1):
        train_loss = train_epoch(model, train_loader, optimizer, scheduler)
        test_loss, score = evaluate(model, test_loader)
        print(f"{epoch:2d}: train loss {train_loss:.4f}, test loss {test_loss:.4f}, score {score:.3f}")


if __name__ == "__main__":
    main()
