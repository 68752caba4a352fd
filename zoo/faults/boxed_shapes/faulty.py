"""Locate and classify one shape per picture: a class head and a box head on one trunk."""
import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE = 24
KINDS = ("disc", "frame", "cross")


def draw(n, gen):
    """Pictures, kinds and boxes; a box is (cx, cy, w, h) in units of the picture."""
    size = torch.randint(6, 13, (n, 2), generator=gen).float()
    corner = (torch.rand(n, 2, generator=gen) * (SIDE - size)).floor()
    kind = torch.randint(0, 3, (n,), generator=gen)
    grid = torch.arange(SIDE).float() + 0.5
    u = (grid[None] - corner[:, :1]) / size[:, :1] * 2 - 1
    v = (grid[None] - corner[:, 1:]) / size[:, 1:] * 2 - 1
    u, v = u[:, None, :].expand(n, SIDE, SIDE), v[:, :, None].expand(n, SIDE, SIDE)
    inside = (u.abs() < 1) & (v.abs() < 1)
    disc = u**2 + v**2 < 1
    frame = inside & ((u.abs() > 0.55) | (v.abs() > 0.55))
    cross = inside & ((u.abs() < 0.35) | (v.abs() < 0.35))
    shape = torch.stack([disc, frame, cross], 1)[torch.arange(n), kind].float()
    pictures = shape * (0.6 + 0.4 * torch.rand(n, 1, 1, generator=gen)) + 0.15 * torch.randn(n, SIDE, SIDE, generator=gen)
    boxes = torch.cat([corner + size / 2, size], 1) / SIDE
    return pictures.unsqueeze(1), kind, boxes


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Flatten(), nn.Linear(24 * 36, 96), nn.ReLU(),
        )
        self.kind = nn.Linear(96, len(KINDS))
        self.box = nn.Linear(96, 4)

    def forward(self, pictures):
        h = self.trunk(pictures)
        return {"kind": self.kind(h), "box": self.box(h).sigmoid()}


def to_corners(box):
    centre, size = box[:, :2], box[:, 2:]
    return torch.cat([centre - size / 2, centre + size / 2], 1)


def iou(a, b):
    lo = torch.maximum(a[:, :2], b[:, :2])
    hi = torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (hi - lo).clamp(min=0).prod(1)
    area = lambda c: (c[:, 2:] - c[:, :2]).prod(1)
    return overlap / (area(a) + area(b) - overlap).clamp(min=1e-6)


def validate(model, pictures, kind, boxes):
    model.eval()
    with torch.no_grad():
        out = model(pictures)
    overlap = iou(to_corners(out["box"]), boxes)
    right = out["kind"].argmax(1) == kind
    return {
        "kind": right.float().mean().item(),
        "iou": overlap.mean().item(),
        "found": (right & (overlap > 0.5)).float().mean().item(),
    }


def fit(seed=15, epochs=8, batch=48):
    torch.manual_seed(seed)
    gen = torch.Generator().manual_seed(seed)
    pictures, kind, boxes = draw(1920, gen)
    held_out = draw(400, gen)
    model = Detector()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * len(pictures) // batch)
    for epoch in range(epochs):
        model.train()
        for idx in torch.randperm(len(pictures)).split(batch):
            out = model(pictures[idx])
            loss = F.cross_entropy(out["kind"], kind[idx]) + 20 * F.smooth_l1_loss(out["box"], boxes[idx], beta=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        scores = validate(model, *held_out)
        print(f"epoch {epoch}: loss {loss.item():.3f} " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()))


if __name__ == "__main__":
    fit()
