"""Printed serial digits: a small CNN, a Trainer, checkpoints, early stopping."""
import os
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))


class DigitSet(Dataset):
    def __init__(self, images, labels, jitter=False):
        self.images = torch.tensor(images, dtype=torch.float32).unsqueeze(1) / 16.0
        self.labels = torch.tensor(labels)
        self.jitter = jitter

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        if self.jitter and torch.rand(()) < 0.5:
            shift = int(torch.randint(0, 2, ())) * 2 - 1
            padded = F.pad(image, (1, 1, 0, 0))
            image = padded[:, :, 1 + shift:9 + shift]
        return image, self.labels[i]


class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(48 * 16, classes))

    def forward(self, x):
        return self.head(self.features(x))


class Trainer:
    def __init__(self, model, train_loader, val_loader, folder, lr=1e-3, patience=5):
        self.model = model
        self.train_loader, self.val_loader = train_loader, val_loader
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=0.3, patience=2)
        self.checkpoint = Path(folder) / "best.pt"
        self.patience = patience
        self.best = float("inf")

    def train_epoch(self):
        self.model.train()
        total, seen = 0.0, 0
        for images, labels in self.train_loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(labels)
            seen += len(labels)
        return total / seen

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        loss, right, seen = 0.0, 0, 0
        for images, labels in loader:
            logits = self.model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
            seen += len(labels)
        return loss / seen, right / seen

    def fit(self, epochs):
        waiting = 0
        for epoch in range(1, epochs + 1):
            train_loss = self.train_epoch()
            val_loss, val_acc = self.evaluate(self.val_loader)
            self.scheduler.step(val_loss)
            lr = self.optimizer.param_groups[0]["lr"]
            print(f"{epoch:3d} train {train_loss:.4f} val {val_loss:.4f} acc {val_acc:.4f} lr {lr:.1e}")
            if val_loss < self.best:
                self.best, waiting = val_loss, 0
                torch.save({"model": self.model.state_dict(), "epoch": epoch}, self.checkpoint)
            else:
                waiting += 1
            if waiting >= self.patience:
                print("no progress, stopping")
                break
        saved = torch.load(self.checkpoint)
        self.model.load_state_dict(saved["model"])
        return saved["epoch"]


def main():
    torch.manual_seed(SEED)
    digits = load_digits()
    x, x_test, y, y_test = train_test_split(
        digits.images, digits.target, test_size=0.2, stratify=digits.target, random_state=SEED)
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.2, stratify=y, random_state=SEED)
    train_loader = DataLoader(DigitSet(x, y, jitter=True), batch_size=32, shuffle=True)
    val_loader = DataLoader(DigitSet(x_val, y_val), batch_size=256)
    test_loader = DataLoader(DigitSet(x_test, y_test), batch_size=256)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(Net(), train_loader, val_loader, folder)
        best_epoch = trainer.fit(epochs=25)
    loss, acc = trainer.evaluate(test_loader)
    print(f"best epoch {best_epoch}; test loss {loss:.4f}, test accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
