# Transfer learning: a net that knows the digits 0-5 is taught the marks 6-9 with few examples.
import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_digits

np.random.seed(30)
torch.manual_seed(30)


class SmallResNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.block = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.down = nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(32 * 4, num_classes)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(x + self.block(x))
        x = self.pool(self.down(x)).flatten(1)
        return self.fc(x)


def batches(x, y, size=32):
    p = np.random.permutation(len(x))
    for i in range(0, len(p), size):
        j = p[i:i + size]
        yield x[j], y[j]


def train_model(model, optimizer, data, epochs, scheduler=None, tag=""):
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        run_loss, run_hits, n = 0.0, 0, 0
        for xb, yb in batches(*data):
            optimizer.zero_grad()
            out = model(xb)
            loss = criterion(out, yb)
            loss.backward()
            optimizer.step()
            run_loss += loss.item() * len(xb)
            run_hits += (out.argmax(1) == yb).sum().item()
            n += len(xb)
        if scheduler is not None:
            scheduler.step()
        if epoch % 3 == 2:
            print(f"{tag} epoch {epoch + 1}/{epochs} loss {run_loss / n:.4f} acc {run_hits / n:.4f}")


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


d = load_digits()
X = torch.tensor(d.images[:, None] / 16.0, dtype=torch.float32)
y = torch.tensor(d.target)
old, new = y < 6, y >= 6

# --- source task
model = SmallResNet(6)
train_model(model, torch.optim.Adam(model.parameters(), lr=2e-3), (X[old], y[old]), epochs=4, tag="source")

# --- target task: freeze the features, new last layer
Xn, yn = X[new], y[new] - 6
perm = torch.from_numpy(np.random.permutation(len(Xn)))
Xn, yn = Xn[perm], yn[perm]
target_train, target_test = (Xn[:240], yn[:240]), (Xn[240:], yn[240:])

for param in model.parameters():
    param.requires_grad = False

num_ftrs = model.fc.in_features
model.fc = nn.Linear(num_ftrs, 4)
optimizer = torch.optim.Adam(model.fc.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.3)
print("before:", round(accuracy(model, *target_test), 4))
train_model(model, optimizer, target_train, epochs=24, scheduler=scheduler, tag="target")
print(f"target accuracy {accuracy(model, *target_test):.4f}")
