"""Classify painted road markers from 16x16 camera crops."""
import argparse
import logging
from typing import Callable

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("road_markers")

torch.manual_seed(5)
rng = np.random.default_rng(5)

parser = argparse.ArgumentParser()
parser.add_argument("--per-class", type=int, default=300)
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--lr", type=float, default=2e-3)
args = parser.parse_args()

YY, XX = np.mgrid[0:16, 0:16].astype(np.float32)
MARKERS: dict[str, Callable] = {
    "ring": lambda y, x, r: np.abs(np.hypot(y, x) - r) < 1.0,
    "box": lambda y, x, r: np.abs(np.maximum(np.abs(y), np.abs(x)) - r) < 0.8,
    "cross": lambda y, x, r: (np.minimum(np.abs(y), np.abs(x)) < 0.9) & (np.maximum(np.abs(y), np.abs(x)) < r),
    "bar": lambda y, x, r: (np.abs(y) < 1.2) & (np.abs(x) < r),
    "chevron": lambda y, x, r: (np.abs(y - np.abs(x) + r / 2) < 1.2) & (np.abs(x) < r),
}


def draw_markers(per_class: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = [], []
    for label, shape in enumerate(MARKERS.values()):
        for _ in range(per_class):
            cy, cx = 7.5 + rng.uniform(-2, 2, size=2)
            paint = shape(YY - cy, XX - cx, rng.uniform(3.5, 5.5)) * rng.uniform(0.6, 1.0)
            images.append(paint + 0.2 * rng.normal(size=(16, 16)))
            labels.append(label)
    return np.stack(images).astype(np.float32)[:, None], np.array(labels)


def make_loader_factory(batch_size: int) -> Callable[[np.ndarray, np.ndarray], DataLoader]:
    def factory(images: np.ndarray, labels: np.ndarray, shuffle: bool = True) -> DataLoader:
        dataset = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
        return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle)

    return factory


def make_predictor(model: nn.Module) -> Callable[[DataLoader], np.ndarray]:
    @torch.no_grad()
    def predict(loader: DataLoader) -> np.ndarray:
        model.eval()
        return torch.cat([model(images).argmax(dim=1) for images, _ in loader]).numpy()

    return predict


images, labels = draw_markers(args.per_class)
order = rng.permutation(len(labels))
n_test = len(labels) // 5
test_idx, train_idx = order[:n_test], order[n_test:]
mean, std = images[train_idx].mean(), images[train_idx].std()
images = (images - mean) / std
y_test = labels[test_idx]

make_loader = make_loader_factory(args.batch_size)
train_loader = make_loader(images[train_idx], labels[train_idx])
test_loader = make_loader(images[test_idx], y_test)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * 16, len(MARKERS)),
)
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
criterion = nn.CrossEntropyLoss()
predict = make_predictor(model)

for epoch in range(args.epochs):
    model.train()
    running = 0.0
    for batch, target in train_loader:

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = criterion(model(batch), target)
            loss.backward()
            return loss

        running += optimizer.step(closure).item()
    log.info("epoch %d train loss %.4f", epoch + 1, running / len(train_loader))

predicted = predict(test_loader)
for label, name in enumerate(MARKERS):
    log.info("%-8s recall %.3f", name, (predicted[y_test == label] == label).mean())
print(f"test accuracy {(predicted == y_test).mean():.4f}")
