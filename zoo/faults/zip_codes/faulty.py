"""Read the digits of a zip code with the running average of a network's weights."""
import copy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def block(n_in, n_out, stride=1):
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()
    )


class Callback:
    def after_step(self, loop):
        pass

    def after_epoch(self, loop):
        pass


class AverageWeights(Callback):
    """Keep an exponential moving average of the model beside it."""

    def __init__(self, model, decay=0.98):
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def after_step(self, loop):
        for slow, fast in zip(self.model.parameters(), loop.model.parameters()):
            slow.lerp_(fast, 1 - self.decay)


class Report(Callback):
    def __init__(self, loader, model):
        self.loader, self.model = loader, model

    @torch.no_grad()
    def after_epoch(self, loop):
        hits = codes = n = 0
        for image, label in self.loader:
            right = self.model(image).argmax(-1) == label
            hits += right.sum().item()
            codes += right.view(-1, 5).all(-1).sum().item()
            n += len(label)
        print(f"epoch {loop.epoch} loss {loop.loss:.3f} digits {hits / n:.3f} codes {5 * codes / n:.3f}")


class Loop:
    def __init__(self, model, loader, callbacks):
        self.model, self.loader, self.callbacks = model, loader, callbacks
        self.opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
        self.epoch, self.loss = 0, float("nan")

    def call(self, event):
        for c in self.callbacks:
            getattr(c, event)(self)

    def run(self, epochs):
        for self.epoch in range(1, epochs + 1):
            self.model.train()
            for image, label in self.loader:
                loss = self.criterion(self.model(image), label)
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                self.loss = loss.item()
                self.call("after_step")
            self.call("after_epoch")


if __name__ == "__main__":
    torch.manual_seed(3)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None]
    images = images / 8 - 1
    data = TensorDataset(images, torch.tensor(digits.target))
    train_set, test_set = random_split(data, [1297, 500])
    net = nn.Sequential(
        block(1, 16), block(16, 24, stride=2), block(24, 32), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )
    average = AverageWeights(net)
    report = Report(DataLoader(test_set, batch_size=100), average.model)
    Loop(net, DataLoader(train_set, batch_size=48, shuffle=True, drop_last=True), [average, report]).run(8)
