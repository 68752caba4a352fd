"""Self-supervised features of carved buttons (8x8 digits) with BYOL, judged by a 10-label linear probe."""
import copy
import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(6)
data = load_digits()
x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1)
y = torch.tensor(data.target)
train_i, test_i = train_test_split(range(len(y)), test_size=0.3, stratify=y, random_state=6)
mean, std = x[train_i].mean(), x[train_i].std()
x = (x - mean) / std
blank = float(-mean / std)
few_i, _ = train_test_split(train_i, train_size=50, stratify=y[train_i], random_state=6)


def view(batch):
    """Random small rotation, scale, shift, contrast and noise, drawn per picture."""
    n = len(batch)
    angle = (torch.rand(n) - 0.5) * 0.6
    scale = 1 + (torch.rand(n) - 0.5) * 0.3
    shift = (torch.rand(n, 2) - 0.5) * 0.4
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(theta, batch.shape, align_corners=False)
    out = F.grid_sample(batch - blank, grid, align_corners=False) + blank
    gain = 1 + (torch.rand(n, 1, 1, 1) - 0.5) * 0.4
    return out * gain + 0.15 * torch.randn_like(out)


def mlp(n_in, hidden, n_out):
    return nn.Sequential(nn.Linear(n_in, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, n_out))


class Online(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, stride=2), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Flatten(), nn.Linear(512, 96), nn.BatchNorm1d(96), nn.ReLU())
        self.projector = mlp(96, 128, 48)

    def forward(self, x):
        return self.projector(self.encoder(x))


online = Online()
predictor = mlp(48, 128, 48)
target = copy.deepcopy(online).requires_grad_(False)

captured = {}
online.encoder.register_forward_hook(lambda module, args, out: captured.update(features=out.detach()))


def features(indices):
    online.eval()
    with torch.no_grad():
        online(x[indices])
    return captured["features"]


def probe():
    clf = LogisticRegression(max_iter=2000).fit(features(few_i).numpy(), y[few_i].numpy())
    return clf.score(features(test_i).numpy(), y[test_i].numpy())


def alignment(p, z):
    return 2 - 2 * F.cosine_similarity(p, z, dim=1).mean()


before = probe()
EPOCHS = 40
loader = DataLoader(TensorDataset(x[train_i]), batch_size=128, shuffle=True, drop_last=True)
optimizer = torch.optim.AdamW([*online.parameters(), *predictor.parameters()], lr=2e-3, weight_decay=1e-3)
total = EPOCHS * len(loader)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
step = 0
for epoch in range(EPOCHS):
    online.train(), predictor.train(), target.train()
    losses = []
    for (batch,) in loader:
        a, b = view(batch), view(batch)
        with torch.no_grad():
            za, zb = target(a), target(b)
        loss = 0.5 * (alignment(predictor(online(a)), zb) + alignment(predictor(online(b)), za))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        momentum = 1 - 0.03 * (math.cos(math.pi * step / total) + 1) / 2
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), online.parameters()):
                slow.lerp_(fast, 1 - momentum)
        losses.append(loss.item())
        step += 1
    if epoch % 8 == 7:
        spread = F.normalize(features(test_i), dim=1).std(0).mean().item() * math.sqrt(96)
        print(f"epoch {epoch + 1}  loss {sum(losses) / len(losses):.4f}  spread {spread:.3f}")
print(f"linear probe on 50 labels: untrained encoder {before:.4f}, after BYOL {probe():.4f}")
