# The theatre cloakroom reads its number tags with a small camera: 8x8 digits, shifted by the clumsy hand.
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)

X, y = load_digits(return_X_y=True)
Xtr, Xte, ytr, yte = train_test_split(X, y, test_size=0.25, stratify=y, random_state=SEED)


def to_images(a):
    return torch.tensor(a / 16.0, dtype=torch.float32).view(-1, 1, 8, 8)


Xtr, Xte = to_images(Xtr), to_images(Xte)
ytr, yte = torch.tensor(ytr), torch.tensor(yte)


def shift(batch):
    """Move every image by -1, 0 or 1 pixels each way."""
    padded = F.pad(batch, (1, 1, 1, 1))
    out = torch.empty_like(batch)
    dx = torch.randint(0, 3, (len(batch),))
    dy = torch.randint(0, 3, (len(batch),))
    for i in range(len(batch)):
        out[i] = padded[i, :, dy[i]:dy[i] + 8, dx[i]:dx[i] + 8]
    return out


net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(),
    nn.Dropout(0.2), nn.Linear(64 * 4, 10),
)

EPOCHS, BATCH = 20, 64
steps = (len(Xtr) + BATCH - 1) // BATCH
opt = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.2, epochs=EPOCHS, steps_per_epoch=steps)


def accuracy(x, t):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == t).float().mean().item()


for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(len(Xtr))
    running = 0.0
    for idx in order.split(BATCH):
        logits = net(shift(Xtr[idx]))
        loss = F.cross_entropy(logits, ytr[idx], label_smoothing=0.05)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        sched.step()
        running += loss.item()
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1:2d} loss {running / steps:.3f} train accuracy {accuracy(Xtr, ytr):.3f}")

print(f"test accuracy {accuracy(Xte, yte):.4f}")
