# Transfer learning with gradual unfreezing.
# Backbone learns the printed figures 0-4, then we move to the engraved figures 5-9 on trophy plaques.
import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)
np.random.seed(21)

digits = load_digits()
images = digits.images.astype(np.float32) / 16.0
target = digits.target


def printed():
    keep = target < 5
    x = torch.from_numpy(images[keep]).unsqueeze(1)
    return (x - 0.3) / 0.38, torch.from_numpy(target[keep]).long()


def engraved():
    keep = target >= 5
    pics = np.rot90(images[keep], k=1, axes=(1, 2))
    pics = 1.0 - pics + np.random.normal(0, 0.1, pics.shape)
    x = torch.from_numpy(pics.astype(np.float32)).unsqueeze(1)
    y = torch.from_numpy(target[keep] - 5).long()
    order = torch.randperm(len(x))
    return (x[order] - 0.7) / 0.38, y[order]


class PlaqueNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(256, 12), nn.ReLU(),
        )
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.backbone(x))


model = PlaqueNet()
criterion = nn.CrossEntropyLoss()

# watch what arrives at the backbone
grad_log = []


def watch_gradient(module, inputs, output):
    if output.requires_grad:
        output.register_hook(lambda g: grad_log.append(g.norm().item()))


def run_epoch(loader, optimizer):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


x_src, y_src = printed()
src_loader = DataLoader(TensorDataset(x_src, y_src), batch_size=32, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(12):
    loss = run_epoch(src_loader, optimizer)
print(f"source task finished, loss {loss:.4f}")

x_new, y_new = engraved()
n_train = 600
new_loader = DataLoader(TensorDataset(x_new[:n_train], y_new[:n_train]), batch_size=32, shuffle=True)
x_test, y_test = x_new[n_train:], y_new[n_train:]

model.fc = nn.Linear(12, 5)
for p in model.backbone.parameters():
    p.requires_grad = False
optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=2e-3)
hook = model.backbone.register_forward_hook(watch_gradient)

for epoch in range(40):
    if epoch == 8:
        print("unfreezing the backbone")
        for p in model.backbone.parameters():
            p.requires_grad = True
    grad_log.clear()
    loss = run_epoch(new_loader, optimizer)
    if epoch % 4 == 0:
        arriving = np.mean(grad_log) if grad_log else 0.0
        print(f"epoch {epoch:2d} loss {loss:.4f} gradient at backbone {arriving:.4f}")
hook.remove()

model.eval()
with torch.no_grad():
    pred = model(x_test).argmax(dim=1)
acc = (pred == y_test).float().mean().item()
print(f"plaque test accuracy: {acc:.4f}")
