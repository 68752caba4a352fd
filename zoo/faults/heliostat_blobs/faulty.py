"""Aim class of a mirror from its light spot. A small module/trainer pair with hooks."""
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

HP = SimpleNamespace(side=14, classes=8, n=2400, batch=40, epochs=12, lr=0.006, momentum=0.9, patience=1, seed=29)


def light_spots(hp):
    """Skewed spots whose elongation points in one of eight directions."""
    y = torch.randint(hp.classes, (hp.n,))
    angle = (y + 0.5 * (torch.rand(hp.n) - 0.5)) * (torch.pi / hp.classes)
    grid = torch.linspace(-1, 1, hp.side)
    v, u = torch.meshgrid(grid, grid, indexing="ij")
    cu, cv = 0.5 * (torch.rand(2, hp.n, 1, 1) - 0.5)
    c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along, across = c * (u - cu) + s * (v - cv), -s * (u - cu) + c * (v - cv)
    spot = torch.exp(-(along / 0.5) ** 2 - (across / 0.22) ** 2)
    x = spot + 0.2 * torch.randn(hp.n, hp.side, hp.side)
    return ((x - x.mean()) / x.std()).unsqueeze(1), y


class SpotModule(nn.Module):
    def __init__(self, hp):
        super().__init__()
        self.hp = hp
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        )
        self.head = nn.Linear(16 * (hp.side // 4) ** 2, hp.classes)

    def forward(self, x):
        return self.head(self.body(x))

    def training_step(self, batch):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        return (self(x).argmax(1) == y).float().sum().item()

    def configure_optimizers(self):
        opt = torch.optim.SGD(self.parameters(), lr=self.hp.lr, momentum=self.hp.momentum)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.1, patience=self.hp.patience)
        return opt, plateau


class Fit:
    def __init__(self, epochs):
        self.epochs = epochs

    def __call__(self, module, train, valid):
        self.opt, self.plateau = module.configure_optimizers()
        for epoch in range(self.epochs):
            module.train()
            losses = [self.optimize(module, batch) for batch in train]
            module.eval()
            with torch.no_grad():
                val_acc = sum(module.validation_step(b) for b in valid) / len(valid.dataset)
            self.plateau.step(val_acc)
            print(f"{epoch:3d}  loss {sum(losses) / len(losses):.3f}  val_acc {val_acc:.3f}")

    def optimize(self, module, batch):
        loss = module.training_step(batch)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


torch.manual_seed(HP.seed)
train, valid = random_split(TensorDataset(*light_spots(HP)), [1800, 600])
Fit(HP.epochs)(SpotModule(HP), DataLoader(train, HP.batch, shuffle=True), DataLoader(valid, 200))
