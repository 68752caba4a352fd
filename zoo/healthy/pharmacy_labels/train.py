"""A pharmacy's label reader knows the digits 0-4; with ten examples each it must learn 5-9."""
import os

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)

images, labels = load_digits(return_X_y=True)
images = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1
labels = torch.tensor(labels)
order = torch.randperm(len(labels))
images, labels = images[order], labels[order]
old = labels < 5
x_old, y_old = images[old], labels[old]
x_new, y_new = images[~old], labels[~old] - 5
n_test_old = 150

# ---- first: the digits of which there are plenty ----
body = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
    nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(48, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
old_head = nn.Linear(192, 5)
opt = torch.optim.Adam([*body.parameters(), *old_head.parameters()], lr=2e-3, weight_decay=1e-4)
x_fit, y_fit = x_old[n_test_old:], y_old[n_test_old:]
for epoch in range(18):
    body.train()
    running = 0.0
    for batch in torch.randperm(len(x_fit)).split(32):
        opt.zero_grad()
        loss = F.cross_entropy(old_head(body(x_fit[batch])), y_fit[batch], label_smoothing=0.05)
        loss.backward()
        opt.step()
        running += loss.item() * len(batch)
    print(f"old digits, epoch {epoch}: loss {running / len(x_fit):.4f}")
body.eval()
with torch.no_grad():
    acc_old = (old_head(body(x_old[:n_test_old])).argmax(1) == y_old[:n_test_old]).float().mean()
print(f"old digits, held-out accuracy {acc_old:.3f}")

# ---- then: ten pictures of each new digit ----
few = torch.cat([(y_new == c).nonzero().squeeze(1)[:10] for c in range(5)])
rest = torch.ones(len(y_new), dtype=torch.bool)
rest[few] = False
body.requires_grad_(False)                        # stays in eval mode: its running statistics do not move
with torch.no_grad():
    feat_few, feat_rest = body(x_new[few]), body(x_new[rest])
centre, spread = feat_few.mean(0), feat_few.std()
feat_few, feat_rest = (feat_few - centre) / spread, (feat_rest - centre) / spread

head = nn.Linear(192, 5)
opt = torch.optim.AdamW(head.parameters(), lr=5e-3, weight_decay=0.3)
for step in range(500):                           # fifty pictures: one batch holds them all
    opt.zero_grad()
    noisy = feat_few + 0.3 * torch.randn_like(feat_few)
    loss = F.cross_entropy(head(noisy), y_new[few])
    loss.backward()
    opt.step()
    if step % 100 == 99:
        print(f"new head, step {step + 1}: loss {loss.item():.4f}")

with torch.no_grad():
    acc_new = (head(feat_rest).argmax(1) == y_new[rest]).float().mean()
pixels = x_new.flatten(1)
means = torch.stack([pixels[few][y_new[few] == c].mean(0) for c in range(5)])
acc_means = (torch.cdist(pixels[rest], means).argmin(1) == y_new[rest]).float().mean()
print(f"new digits: nearest mean of the pixels {acc_means:.3f}, frozen body with new head {acc_new:.3f}")
