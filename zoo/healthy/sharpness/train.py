import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimisation around any base optimizer (Foret et al.)."""

    def __init__(self, params, base, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho, **kwargs))
        self.base = base(self.param_groups, **kwargs)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def climb(self):
        norm = torch.stack([p.grad.norm() for g in self.param_groups for p in g["params"]]).norm()
        for group in self.param_groups:
            for p in group["params"]:
                e = p.grad * (group["rho"] / (norm + 1e-12))
                p.add_(e)
                self.state[p]["e"] = e
        self.zero_grad()

    @torch.no_grad()
    def descend(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(self.state[p].pop("e"))
        self.base.step()
        self.zero_grad()


def running_stats(net, on):
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = 0.1 if on else 0.0


class SmallNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
        )


torch.manual_seed(19)
np.random.seed(19)
images, labels = load_digits(return_X_y=True)
x_tr, x_te, y_tr, y_te = train_test_split(images, labels, test_size=0.3, stratify=labels, random_state=19)
x_tr, x_te = (torch.tensor(v / 16.0 - 0.3, dtype=torch.float32).view(-1, 1, 8, 8) for v in (x_tr, x_te))
y_tr, y_te = torch.tensor(y_tr), torch.tensor(y_te)
noisy = torch.rand(len(y_tr)) < 0.15  # a careless annotator
y_noisy = torch.where(noisy, torch.randint(10, y_tr.shape), y_tr)

net = SmallNet()
opt = SAM(net.parameters(), torch.optim.SGD, rho=0.1, lr=0.05, momentum=0.9, weight_decay=5e-4)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt.base, T_max=12)
for epoch in range(12):
    net.train()
    for idx in torch.randperm(len(x_tr)).split(64):
        running_stats(net, on=True)
        loss = F.cross_entropy(net(x_tr[idx]), y_noisy[idx])
        loss.backward()
        opt.climb()
        running_stats(net, on=False)
        F.cross_entropy(net(x_tr[idx]), y_noisy[idx]).backward()
        opt.descend()
    sched.step()
    net.eval()
    with torch.no_grad():
        acc = (net(x_te).argmax(1) == y_te).float().mean()
    print(f"epoch {epoch:2d} loss {loss:.3f} accuracy on clean labels {acc:.4f}")
