import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(41)
np.random.seed(41)

ICONS = ["plate", "knife", "fork", "cup", "pan", "grater"]
S = 18


def draw(kind):
    img = np.zeros((S, S), dtype=np.float32)
    y, x = np.mgrid[0:S, 0:S]
    cy, cx = np.random.randint(7, 11, 2)
    r = np.random.uniform(4, 5.5)
    if kind == "plate":
        d = np.hypot(y - cy, x - cx)
        img[(d < r) & (d > r - 1.3)] = 1
    elif kind == "knife":
        img[cy - 6:cy + 6, cx] = 1
        img[cy - 6:cy, cx + 1] = 1
    elif kind == "fork":
        img[cy - 1:cy + 6, cx] = 1
        for k in (-2, 0, 2):
            img[cy - 6:cy - 1, cx + k] = 1
        img[cy - 1, cx - 2:cx + 3] = 1
    elif kind == "cup":
        img[cy - 3:cy + 4, cx - 4] = 1
        img[cy - 3:cy + 4, cx + 3] = 1
        img[cy + 3, cx - 4:cx + 4] = 1
        img[cy - 1:cy + 2, cx + 5] = 1
    elif kind == "pan":
        img[np.hypot(y - cy, x - cx + 2) < r - 1.2] = 1
        img[cy, cx:min(S, cx + 8)] = 1
    else:
        img[cy - 5:cy + 5:2, cx - 3:cx + 4:2] = 1
    img *= np.random.uniform(0.6, 1.0)
    return img + np.random.normal(0, 0.3, img.shape).astype(np.float32)


class IconSet(Dataset):
    def __init__(self, n):
        self.labels = np.random.randint(0, len(ICONS), n)
        self.images = np.stack([draw(ICONS[k]) for k in self.labels])[:, None].astype(np.float32)

    def standardize(self, mean, std):
        self.images = (self.images - mean) / std

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i]), int(self.labels[i])


class IconNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, padding=1)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 4 * 4, len(ICONS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.fc(x.flatten(1))


class IconTrainer:
    def __init__(self, model, train_set, test_set, lr=2e-3, decay=0.88, batch_size=48):
        self.model = model
        self.train_loader = DataLoader(train_set, batch_size=batch_size, shuffle=True)
        self.test_loader = DataLoader(test_set, batch_size=200)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.scheduler = LambdaLR(self.optimizer, lr_lambda=lambda epoch: lr * decay ** epoch)

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for images, labels in self.train_loader:
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(labels)
        self.scheduler.step()
        return total / len(self.train_loader.dataset)

    @torch.no_grad()
    def test(self):
        self.model.eval()
        correct = sum((self.model(images).argmax(1) == labels).sum().item() for images, labels in self.test_loader)
        return correct / len(self.test_loader.dataset)

    def fit(self, epochs=14):
        for epoch in range(1, epochs + 1):
            loss = self.train_epoch()
            if epoch % 2 == 0:
                print(f"[{epoch:2d}/{epochs}] loss={loss:.4f} acc={self.test():.3f}")


train_set, test_set = IconSet(1800), IconSet(500)
mean, std = train_set.images.mean(), train_set.images.std()
train_set.standardize(mean, std)
test_set.standardize(mean, std)
trainer = IconTrainer(IconNet(), train_set, test_set)
trainer.fit()
print(f"final test accuracy={trainer.test():.4f}")
