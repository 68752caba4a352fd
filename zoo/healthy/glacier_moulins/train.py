"""Segment moulins (meltwater shafts) in synthetic glacier photographs with a small U-Net."""
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

SIZE, ACCUMULATE, EPOCHS, LR = 32, 2, 8, 3e-3


def photograph(g):
    """One photograph and its mask: smooth ice, dark round shafts, thin dark crevasses and bright snow bumps."""
    yy, xx = torch.meshgrid(torch.arange(SIZE).float(), torch.arange(SIZE).float(), indexing="ij")
    rand = lambda lo, hi: lo + (hi - lo) * torch.rand((), generator=g)
    ice = F.interpolate(torch.randn(1, 1, 5, 5, generator=g), size=SIZE, mode="bicubic", align_corners=True)[0, 0] * 0.35
    image = 0.6 + ice
    mask = torch.zeros(SIZE, SIZE)
    angle, offset = rand(0, math.pi), rand(-8, 8)
    line = ((xx - SIZE / 2) * torch.cos(angle) + (yy - SIZE / 2) * torch.sin(angle) - offset).abs()
    image = torch.where(line < 0.9, image - 0.7, image)
    for _ in range(2):
        d2 = (xx - rand(4, SIZE - 4)) ** 2 + (yy - rand(4, SIZE - 4)) ** 2
        image = image + 0.8 * torch.exp(-d2 / (2 * rand(1.5, 3) ** 2))
    for _ in range(int(torch.randint(1, 4, (), generator=g))):
        theta, a, b = rand(0, math.pi), rand(3, 5.5), rand(2.5, 4)
        dx, dy = xx - rand(5, SIZE - 5), yy - rand(5, SIZE - 5)
        u, v = dx * torch.cos(theta) + dy * torch.sin(theta), dy * torch.cos(theta) - dx * torch.sin(theta)
        inside = (u / a) ** 2 + (v / b) ** 2 < 1
        image = torch.where(inside, image - rand(0.6, 0.9), image)
        mask[inside] = 1.0
    return image + 0.15 * torch.randn(SIZE, SIZE, generator=g), mask


def survey(n, seed):
    g = torch.Generator().manual_seed(seed)
    images, masks = zip(*(photograph(g) for _ in range(n)))
    return torch.stack(images).unsqueeze(1), torch.stack(masks).unsqueeze(1)


def block(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.GroupNorm(4, c_out), nn.SiLU(),
        nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.GroupNorm(4, c_out), nn.SiLU(),
    )


class UNet(nn.Module):
    def __init__(self, w=8):
        super().__init__()
        self.down1, self.down2, self.bottom = block(1, w), block(w, 2 * w), block(2 * w, 4 * w)
        self.lift2, self.lift1 = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2), nn.ConvTranspose2d(2 * w, w, 2, 2)
        self.up2, self.up1 = block(4 * w, 2 * w), block(2 * w, w)
        self.out = nn.Conv2d(w, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.up2(torch.cat([self.lift2(c), b], 1))
        a = self.up1(torch.cat([self.lift1(b), a], 1))
        return self.out(a)


def bce_dice(logits, target):
    p = logits.sigmoid()
    overlap = (p * target).sum((1, 2, 3))
    dice = (2 * overlap + 1) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
    return F.binary_cross_entropy_with_logits(logits, target) + (1 - dice).mean()


def flip(x, y):
    for dim in (2, 3):
        pick = (torch.rand(len(x)) < 0.5).view(-1, 1, 1, 1)
        x, y = torch.where(pick, x.flip(dim), x), torch.where(pick, y.flip(dim), y)
    return x, y


@torch.no_grad()
def iou(model, loader):
    model.eval()
    inter = union = 0.0
    for x, y in loader:
        hit = model(x) > 0
        inter += (hit & (y > 0.5)).sum().item()
        union += (hit | (y > 0.5)).sum().item()
    return inter / union


def train():
    torch.manual_seed(5)
    (x, y), (xv, yv), (xt, yt) = survey(640, 1), survey(120, 2), survey(250, 3)
    mean, std = x.mean(), x.std()
    loader = DataLoader(TensorDataset((x - mean) / std, y), batch_size=16, shuffle=True, drop_last=True)
    val = DataLoader(TensorDataset((xv - mean) / std, yv), batch_size=125)
    test = DataLoader(TensorDataset((xt - mean) / std, yt), batch_size=125)

    model = UNet()
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.97))
    opt = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=1e-2)
    updates = EPOCHS * (len(loader) // ACCUMULATE)
    warm = updates // 10
    sched = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: (s + 1) / warm if s < warm else 0.5 * (1 + math.cos(math.pi * (s - warm) / (updates - warm))))
    for epoch in range(EPOCHS):
        model.train()
        running = 0.0
        usable = len(loader) // ACCUMULATE * ACCUMULATE
        for i, (xb, yb) in enumerate(loader):
            if i >= usable:
                break
            xb, yb = flip(xb, yb)
            loss = bce_dice(model(xb), yb)
            (loss / ACCUMULATE).backward()
            running += loss.item()
            if (i + 1) % ACCUMULATE == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                opt.step()
                opt.zero_grad(set_to_none=True)
                sched.step()
                ema.update_parameters(model)
        print(f"epoch {epoch + 1:2d}  loss {running / usable:.3f}  val IoU {iou(ema, val):.3f}")
    print(f"share of moulin pixels {yt.mean():.3f}   test IoU {iou(ema, test):.3f}")


if __name__ == "__main__":
    train()
