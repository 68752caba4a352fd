"""Bootstrap Your Own Latent on 8x8 postmarks, judged by a linear probe."""
import copy
import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def augment(x):
    """Random rotation, zoom and shift, then brightness and noise; drawn anew for every image."""
    n = len(x)
    angle = (torch.rand(n) * 2 - 1) * math.pi / 10
    zoom = 1 + 0.3 * (torch.rand(n) - 0.5)
    shift = (torch.rand(n, 2) * 2 - 1) * 0.3
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    y = F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False)
    y = y * (0.7 + 0.6 * torch.rand(n, 1, 1, 1))
    return y + 0.1 * torch.randn_like(y)


def mlp(n_in, hidden, n_out):
    return nn.Sequential(nn.Linear(n_in, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True),
                         nn.Linear(hidden, n_out))


class Backbone(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.dim = 8 * width

    def forward(self, x):
        return self.features(x)


class BYOL(nn.Module):
    def __init__(self, projection=48):
        super().__init__()
        backbone = Backbone()
        self.online = nn.Sequential(backbone, mlp(backbone.dim, 128, projection))
        self.predictor = mlp(projection, 96, projection)
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def forward(self, a, b):
        with torch.no_grad():
            target_a, target_b = self.target(a), self.target(b)
        guess_a, guess_b = self.predictor(self.online(a)), self.predictor(self.online(b))
        return (2 - F.cosine_similarity(guess_a, target_b) - F.cosine_similarity(guess_b, target_a)).mean()

    @torch.no_grad()
    def move_target(self, tau):
        for t, o in zip(self.target.parameters(), self.online.parameters()):
            t.mul_(tau).add_(o, alpha=1 - tau)


class Pretrainer:
    def __init__(self, model, images, epochs=22, batch=128, lr=2e-3, tau=0.98):
        self.model, self.epochs, self.tau0 = model, epochs, tau
        self.loader = DataLoader(TensorDataset(images), batch, shuffle=True, drop_last=True)
        trained = [*model.online.parameters(), *model.predictor.parameters()]
        self.optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=1e-4)
        self.total = epochs * len(self.loader)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, lr, total_steps=self.total, pct_start=0.1)

    def run(self):
        self.model.train()
        step = 0
        for epoch in range(self.epochs):
            losses = []
            for (x,) in self.loader:
                loss = self.model(augment(x), augment(x))
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
                self.model.move_target(1 - (1 - self.tau0) * (math.cos(math.pi * step / self.total) + 1) / 2)
                losses.append(loss.item())
                step += 1
            if epoch % 4 == 3:
                print(f"epoch {epoch + 1}: byol loss {sum(losses) / len(losses):.4f}")


@torch.no_grad()
def embed(backbone, x):
    backbone.eval()
    return F.normalize(backbone(x), dim=1)


def probe(backbone, x_few, y_few, x_test, y_test):
    train, test = embed(backbone, x_few).numpy(), embed(backbone, x_test).numpy()
    return LogisticRegression(C=30.0, max_iter=3000).fit(train, y_few).score(test, y_test)


def main():
    torch.manual_seed(29)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x))
    train, test = order[:1400], order[1400:]
    few = train[:100]                       # only these labels are used, and only by the probe
    model = BYOL()
    Pretrainer(model, x[train]).run()
    backbone = model.online[0]
    z = embed(backbone, x[test])
    print(f"spread of the normalized features (0 when collapsed) {(z.std(0) * math.sqrt(z.shape[1])).mean():.3f}")
    accuracy = probe(backbone, x[few], y[few], x[test], y[test])
    print(f"linear probe with 100 labels: accuracy {accuracy:.4f} (chance 0.1)")


if __name__ == "__main__":
    main()
