"""Digits with a small convolutional network and an exponentially falling rate."""

import torch
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, random_split


class Convolutions(nn.Module):
    def __init__(self, channels: int = 12) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.out = nn.Linear(2 * channels * 16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(image))
        hidden = torch.relu(self.second(hidden))
        return self.out(hidden.flatten(1))


class Trainer:
    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        self.scheduler = optim.lr_scheduler.ExponentialLR(self.optimizer, gamma=0.7)

    def epoch(self, loader: DataLoader) -> float:
        self.model.train()
        total = 0.0
        self.scheduler.step()
        for image, label in loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(image), label)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(label)
        return total / len(loader.dataset)

    @torch.no_grad()
    def accuracy(self, loader: DataLoader) -> float:
        self.model.eval()
        right = sum((self.model(image).argmax(1) == label).sum().item() for image, label in loader)
        return right / len(loader.dataset)


torch.manual_seed(1)
images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None]
images = (images - images.mean()) / images.std()
data = TensorDataset(images, torch.tensor(load_digits().target))
train_data, test_data = random_split(data, [1437, 360])
train_loader = DataLoader(train_data, batch_size=64, shuffle=True)
test_loader = DataLoader(test_data, batch_size=360)

trainer = Trainer(Convolutions())
for number in range(5):
    loss = trainer.epoch(train_loader)
    print(f"{number}: loss {loss:.4f} accuracy {trainer.accuracy(test_loader):.3f}")
