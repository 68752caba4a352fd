"""Sort new stamps with a trunk trained on old ones: linear probe on hooked features, then gentle fine-tuning."""
import os
import tempfile

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(8)


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))


class Sorter(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.block1, self.block2 = block(1, 16), block(16, 32)
        self.pool = nn.Flatten()
        self.fc = nn.Linear(32 * 4, classes)

    def forward(self, x):
        return self.fc(self.pool(self.block2(self.block1(x))))


def batches(x, y, size, shuffle=True):
    order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
    for idx in order.split(size):
        yield x[idx], y[idx]


@torch.no_grad()
def accuracy(model, x, y):
    was_training = model.training
    model.eval()
    acc = (model(x).argmax(1) == y).float().mean().item()
    model.train(was_training)
    return acc


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
y = torch.tensor(digits.target)
old, new = y < 6, y >= 6
x_old, y_old = x[old], y[old]
mean, std = x_old.mean(), x_old.std()
x_old, x_new, y_new = (x_old - mean) / std, (x[new] - mean) / std, y[new] - 6
shuffled = torch.randperm(len(x_new))
few, rest = shuffled[:120], shuffled[120:]
x_few, y_few, x_test, y_test = x_new[few], y_new[few], x_new[rest], y_new[rest]

with tempfile.TemporaryDirectory() as folder:
    # 1. pre-training on the old stamps
    source = Sorter(6)
    opt = torch.optim.SGD(source.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 12)
    source.train()
    for epoch in range(12):
        for xb, yb in batches(x_old, y_old, 64):
            opt.zero_grad()
            F.cross_entropy(source(xb), yb).backward()
            opt.step()
        sched.step()
    print(f"old stamps, training accuracy {accuracy(source, x_old, y_old):.4f}")
    path = os.path.join(folder, "trunk.pt")
    torch.save(source.state_dict(), path)

    # 2. everything but the head is loaded
    model = Sorter(4)
    weights = {k: v for k, v in torch.load(path, weights_only=True).items() if not k.startswith("fc.")}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert set(missing) == {"fc.weight", "fc.bias"} and not unexpected

# 3. linear probe: features are collected once by a hook on the frozen trunk
model.requires_grad_(False)
model.fc.requires_grad_(True)
model.eval()
captured = []
handle = model.pool.register_forward_hook(lambda module, args, output: captured.append(output.detach()))
with torch.no_grad():
    model(x_few)
handle.remove()
features = captured[0]

probe_opt = torch.optim.AdamW(model.fc.parameters(), lr=1e-2, weight_decay=1e-2)
for epoch in range(40):
    total = 0.0
    for fb, yb in batches(features, y_few, 24):
        loss = F.cross_entropy(model.fc(fb), yb)
        probe_opt.zero_grad()
        loss.backward()
        probe_opt.step()
        total += loss.item() * len(yb)
    if epoch % 10 == 9:
        print(f"probe epoch {epoch + 1}: loss {total / len(y_few):.4f}")
probe_acc = accuracy(model, x_test, y_test)

# 4. the second block is thawed; batch-norm statistics stay those of the large old collection
model.block2.requires_grad_(True)
tune_opt = torch.optim.AdamW([
    {"params": model.block2.parameters(), "lr": 5e-4},
    {"params": model.fc.parameters(), "lr": 1e-3},
], weight_decay=1e-2)
norms_before = [p.clone() for p in model.block1.parameters()]
for epoch in range(30):
    model.eval()
    total = 0.0
    for xb, yb in batches(x_few, y_few, 24):
        loss = F.cross_entropy(model(xb), yb)
        tune_opt.zero_grad()
        loss.backward()
        tune_opt.step()
        total += loss.item() * len(yb)
    if epoch % 10 == 9:
        print(f"tune epoch {epoch + 1}: loss {total / len(y_few):.4f}")
assert all(torch.equal(a, b) for a, b in zip(norms_before, model.block1.parameters()))
print(f"new stamps from 120 examples: probe {probe_acc:.4f}, tuned {accuracy(model, x_test, y_test):.4f} (chance 0.25)")
