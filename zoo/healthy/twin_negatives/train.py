"""Two prints were made from every glass negative; nobody wrote down what is on them.

BYOL: the online net predicts the projection of an exponentially averaged target.  No negatives,
the target never receives a gradient, and the target's BatchNorm buffers are copied by hand.
Data: scikit-learn digits as stand-in scans.
"""
import copy
import os

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

torch.manual_seed(int(os.environ.get("SEED", "0")))

digits = load_digits()
scans = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
names = torch.tensor(digits.target)
order = torch.randperm(len(scans))
tr, te = order[:1400], order[1400:]


def develop(x):
    """A random small affine warp, exposure and grain."""
    n = len(x)
    ang = (torch.rand(n) - 0.5) * 0.6
    sc = 1 + (torch.rand(n, 2) - 0.5) * 0.4
    sh = (torch.rand(n, 2) - 0.5) * 0.45
    th = torch.zeros(n, 2, 3)
    th[:, 0, 0], th[:, 0, 1] = ang.cos() * sc[:, 0], -ang.sin()
    th[:, 1, 0], th[:, 1, 1] = ang.sin(), ang.cos() * sc[:, 1]
    th[:, :, 2] = sh
    x = F.grid_sample(x, F.affine_grid(th, x.shape, align_corners=False), align_corners=False)
    x = x * (0.7 + 0.6 * torch.rand(n, 1, 1, 1))
    return x + 0.08 * torch.randn_like(x)


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(conv(1, 24), nn.MaxPool2d(2), conv(24, 48), nn.MaxPool2d(2), conv(48, 64), nn.Flatten())
        self.project = nn.Sequential(nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 48))

    def forward(self, x):
        return self.project(self.backbone(x))


online = Branch()
predict = nn.Sequential(nn.Linear(48, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 48))
target = copy.deepcopy(online).requires_grad_(False)
opt = torch.optim.AdamW([*online.parameters(), *predict.parameters()], lr=2e-3, weight_decay=1e-4)


def agree(p, z):
    return 2 - 2 * F.cosine_similarity(p, z, dim=1).mean()


@torch.no_grad()
def knn():
    online.eval()
    # fresh prints of both sets: the features must survive the developing, not only the scan
    a, b = online.backbone(develop(scans[tr])), online.backbone(develop(scans[te]))
    online.train()
    model = KNeighborsClassifier(5).fit(F.normalize(a).numpy(), names[tr].numpy())
    return model.score(F.normalize(b).numpy(), names[te].numpy())


EPOCHS, B = 28, 140
total, step = EPOCHS * len(tr) // B, 0
print(f"before: 5-nn accuracy {knn():.3f}")
for epoch in range(EPOCHS):
    acc = 0.0
    for idx in tr[torch.randperm(len(tr))].split(B):
        a, b = develop(scans[idx]), develop(scans[idx])
        with torch.no_grad():
            za, zb = target(a), target(b)
        loss = agree(predict(online(a)), zb) + agree(predict(online(b)), za)
        opt.zero_grad()
        loss.backward()
        opt.step()
        m = 1 - 0.03 * (1 - step / total)
        with torch.no_grad():
            for t, o in zip(target.parameters(), online.parameters()):
                t.lerp_(o, 1 - m)
            for t, o in zip(target.buffers(), online.buffers()):
                t.copy_(o)
        step += 1
        acc += loss.item()
    if epoch % 7 == 6:
        with torch.no_grad():
            spread = F.normalize(za, dim=1).std(0).mean()
        print(f"epoch {epoch + 1} loss {acc / 10:.3f} spread {spread:.3f} (1/sqrt(48) = 0.144 is full)")
print(f"5-nn accuracy {knn():.3f}")
