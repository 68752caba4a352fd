"""Count and locate: alternate two tasks on a shared trunk, each with its own optimizer for its head."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SIDE = 16


def sky(n, rng):
    """Images with 1 to 4 kites (bright diamonds); how many there are, and their centre of mass from -1 to 1."""
    yy, xx = np.mgrid[:SIDE, :SIDE]
    images, counts, centres = [], [], []
    for _ in range(n):
        k = int(rng.integers(1, 5))
        cells = rng.choice(16, size=k, replace=False)
        spots = np.stack([cells // 4, cells % 4], 1) * 4 + rng.integers(1, 3, (k, 2))
        image = np.zeros((SIDE, SIDE))
        for y, x in spots:
            image = np.maximum(image, np.abs(yy - y) + np.abs(xx - x) <= 1)
        images.append(image + rng.normal(0, 0.15, image.shape))
        counts.append(k - 1)
        centres.append(spots.mean(0) / (SIDE / 2) - 1)
    return (
        torch.tensor(np.array(images), dtype=torch.float32).unsqueeze(1),
        torch.tensor(counts),
        torch.tensor(np.array(centres), dtype=torch.float32),
    )


torch.manual_seed(52)
rng = np.random.default_rng(52)
images, counts, centres = sky(1200, rng)
test_images, test_counts, test_centres = sky(400, rng)

trunk = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(256, 64), nn.ReLU(),
)
heads = nn.ModuleDict({"count": nn.Linear(64, 4), "centre": nn.Linear(64, 2)})
opt_trunk = torch.optim.Adam(trunk.parameters(), lr=2e-3)
opt_head = {name: torch.optim.Adam(head.parameters(), lr=4e-3) for name, head in heads.items()}


def loss_of(name, rows):
    out = heads[name](trunk(images[rows]))
    if name == "count":
        return F.cross_entropy(out, counts[rows])
    return 4 * F.mse_loss(out, centres[rows])


def report(epoch, last):
    with torch.no_grad():
        h = trunk(test_images)
        right = (heads["count"](h).argmax(1) == test_counts).float().mean().item()
        r2 = 1 - F.mse_loss(heads["centre"](h), test_centres) / test_centres.var(0).mean()
    print(f"epoch {epoch}: {last} counts right {right:.3f}, R2 of the centre {r2:.3f}")


turn = 0
for epoch in range(1, 11):
    last = {}
    for rows in torch.randperm(len(images)).split(30):
        name = ("count", "centre")[turn % 2]
        turn += 1
        trunk.zero_grad()
        heads[name].zero_grad()
        loss = loss_of(name, rows)
        loss.backward()
        opt_trunk.step()
        opt_head[name].step()
        last[name] = round(loss.item(), 3)
    if epoch % 2 == 0:
        report(epoch, last)
