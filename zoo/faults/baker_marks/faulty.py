"""Baker marks: stamps pressed into loaves, 16x16 pictures, small conv net in half precision with loss scaling."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)
rng = np.random.default_rng(13)

SIZE, CLASSES, EPOCHS, BATCH = 16, 6, 8, 50


def stamp(kind):
    yy, xx = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    cx, cy, r = *rng.uniform(-2.5, 2.5, 2), rng.uniform(3.2, 4.8)
    x, y = xx - cx, yy - cy
    rad = np.hypot(x, y)
    shapes = [
        np.abs(rad - r) < 0.9,                                              # ring
        (np.abs(x) < 1) & (np.abs(y) < r) | (np.abs(y) < 1) & (np.abs(x) < r),  # cross
        (np.abs(x - y) < 1.3) & (rad < r) | (np.abs(x + y) < 1.3) & (rad < r),  # saltire
        np.abs(np.maximum(np.abs(x), np.abs(y)) - r + 0.8) < 0.8,           # box
        (np.abs(y) < r) & (np.abs(np.abs(x) - 2) < 0.9),                    # two bars
        np.abs(np.abs(x) + np.abs(y) - r) < 0.9,                            # lozenge
    ]
    return shapes[kind] * rng.uniform(0.6, 1.0) + 0.3 * rng.normal(size=(SIZE, SIZE))


def make_set(n):
    y = rng.integers(0, CLASSES, n)
    x = np.stack([stamp(k) for k in y]).astype(np.float32)
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y)


x_train, y_train = make_set(2000)
x_test, y_test = make_set(800)
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std


class MarkNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2, stride=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, stride=2)
        self.fc1 = nn.Linear(32 * 16, 64)
        self.fc2 = nn.Linear(64, CLASSES)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def loss_fn(model, x, y):
    with torch.autocast("cpu", dtype=torch.float16):
        logits = model(x)
    return F.cross_entropy(logits.float(), y)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


model = MarkNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
steps = EPOCHS * (len(x_train) // BATCH)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 12)

for epoch in range(EPOCHS):
    model.train()
    running = 0.0
    for idx in torch.randperm(len(x_train)).split(BATCH):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_fn(model, x_train[idx], y_train[idx])
        scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=2.0)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        running += loss.item() * len(idx)
    print(f"epoch {epoch + 1}  loss {running / len(x_train):.4f}  scale {scaler.get_scale():.0f}")

print(f"train accuracy {accuracy(model, x_train, y_train):.4f}")
print(f"test accuracy {accuracy(model, x_test, y_test):.4f}")
