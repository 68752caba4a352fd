"""Which of five kinds of town is it? Silhouettes on 20 x 20 pixels."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Skylines(Dataset):
    KINDS = ("village", "harbour", "old town", "suburb", "city")

    def __init__(self, n, seed):
        self.rng = np.random.default_rng(seed)
        self.kind = self.rng.integers(0, 5, n)
        self.image = np.stack([self.draw(k) for k in self.kind]).astype(np.float32)

    def draw(self, kind):
        rng, im = self.rng, np.zeros((20, 20))
        width = (3, 2, 2, 4, 3)[kind]
        low, high = ((2, 5), (2, 7), (4, 9), (3, 5), (6, 15))[kind]
        for left in range(0, 20, width + int(kind in (0, 3))):
            im[20 - rng.integers(low, high + 1) :, left : left + width] = 1
        if kind == 1:
            for mast in rng.integers(0, 20, 3):
                im[rng.integers(4, 9) :, mast] = 1
        if kind == 2:
            c = rng.integers(3, 17)
            for r in range(4, 12):
                im[r, c - (r - 4) // 3 : c + (r - 4) // 3 + 1] = 1
        return im + 0.35 * rng.standard_normal((20, 20))

    def __len__(self):
        return len(self.kind)

    def __getitem__(self, i):
        return torch.from_numpy((self.image[i][None] - 0.35) / 0.55), int(self.kind[i])


class Trainer:
    def __init__(self, net, optimizer, train_loader, val_loader):
        self.net, self.optimizer = net, optimizer
        self.train_loader, self.val_loader = train_loader, val_loader
        self.criterion = nn.CrossEntropyLoss()

    def step(self, images, labels):
        self.optimizer.zero_grad()
        loss = self.criterion(self.net(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def validate(self):
        self.net.eval()
        hits = 0
        with torch.no_grad():
            for images, labels in self.val_loader:
                hits += (self.net(images).argmax(1) == labels).sum().item()
        self.net.train()
        return hits / len(self.val_loader.dataset)

    def run(self, epochs):
        for epoch in range(epochs):
            losses = [self.step(*batch) for batch in self.train_loader]
            print(f"epoch {epoch + 1}/{epochs} - loss {np.mean(losses):.4f} - val_acc {self.validate():.4f}")


if __name__ == "__main__":
    torch.manual_seed(77)
    net = nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(24 * 25, 5),
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    train_loader = DataLoader(Skylines(1200, 0), batch_size=40, shuffle=True)
    val_loader = DataLoader(Skylines(400, 1), batch_size=200)
    Trainer(net, optimizer, train_loader, val_loader).run(6)
