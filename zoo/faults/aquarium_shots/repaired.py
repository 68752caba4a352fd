# Fish silhouettes from the aquarium camera. Ported from my Keras notebook.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

np.random.seed(12)
torch.manual_seed(12)

H = W = 24
KINDS = ["disc", "left", "right", "eel", "ray", "box"]


def shoot(kind):
    """One frame, height x width x RGB, bytes as they come from the camera."""
    water = np.random.randint(0, 200, size=3)
    fish = (water + np.random.choice([-1, 1], 3) * np.random.randint(45, 110, 3)) % 256
    img = np.ones((H, W, 3)) * water
    cy, cx = np.random.randint(7, H - 7), np.random.randint(7, W - 7)
    r = np.random.uniform(4, 6.5)
    yy, xx = np.mgrid[:H, :W]
    dy, dx = yy - cy, xx - cx
    if kind == 0:
        m = dy ** 2 + dx ** 2 < r ** 2
    elif kind == 1:
        m = (np.abs(dx) < r) & (np.abs(dy) < (dx + r) / 2)
    elif kind == 2:
        m = (np.abs(dx) < r) & (np.abs(dy) < (r - dx) / 2)
    elif kind == 3:
        m = (np.abs(dx) < r) & (np.abs(dy) < 2)
    elif kind == 4:
        m = np.abs(dx) + np.abs(dy) < r
    else:
        m = (np.abs(dx) < r * 0.8) & (np.abs(dy) < r * 0.8)
    img[m] = fish
    img += np.random.randn(H, W, 3) * 22
    return np.clip(img, 0, 255).astype(np.uint8)


def collect(n):
    labels = np.random.randint(0, len(KINDS), n)
    frames = np.stack([shoot(k) for k in labels])
    return frames, labels


X_train, y_train = collect(1500)
X_test, y_test = collect(600)
print("train", X_train.shape, "test", X_test.shape)


def prepare(frames):
    x = torch.from_numpy(frames).float() / 255.0
    # pytorch wants channels first
    x = x.permute(0, 3, 1, 2)
    return x - 0.5


train_dl = DataLoader(TensorDataset(prepare(X_train), torch.from_numpy(y_train)),
                      batch_size=32, shuffle=True)
test_dl = DataLoader(TensorDataset(prepare(X_test), torch.from_numpy(y_test)),
                     batch_size=128)


class FishNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.fc1 = nn.Linear(48 * 3 * 3, 64)
        self.fc2 = nn.Linear(64, len(KINDS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        x = torch.flatten(x, 1)
        return self.fc2(F.relu(self.fc1(x)))


model = FishNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()


def evaluate(loader):
    model.eval()
    hits = total = 0
    with torch.no_grad():
        for xb, yb in loader:
            hits += (model(xb).argmax(1) == yb).sum().item()
            total += len(yb)
    return hits / total


for epoch in range(6):
    model.train()
    running = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(yb)
    print(f"epoch {epoch + 1}: loss {running / len(X_train):.4f} val_acc {evaluate(test_dl):.4f}")

print(f"final test accuracy {evaluate(test_dl):.4f}")
