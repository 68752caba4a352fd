import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE = 24


def draw_scenes(n, gen):
    """Grey tidal flats with one to three bright-rimmed mussel patches; returns pictures and masks."""
    yy, xx = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    coarse = torch.randn(n, 1, 6, 6, generator=gen)
    picture = 0.6 * F.interpolate(coarse, size=SIDE, mode="bilinear", align_corners=False)[:, 0]
    mask = torch.zeros(n, SIDE, SIDE, dtype=torch.bool)
    for i in range(n):
        for _ in range(int(torch.randint(1, 4, (1,), generator=gen))):
            cy, cx = (torch.rand(2, generator=gen) * (SIDE - 8) + 4).tolist()
            a, b = (torch.rand(2, generator=gen) * 3.5 + 2).tolist()
            angle = torch.rand(1, generator=gen) * torch.pi
            u = (xx - cx) * angle.cos() + (yy - cy) * angle.sin()
            v = (yy - cy) * angle.cos() - (xx - cx) * angle.sin()
            mask[i] |= (u / a) ** 2 + (v / b) ** 2 < 1
    stripes = torch.sin(xx * 1.9 + yy * 0.7)
    picture = picture + mask * (0.9 + 0.5 * stripes) + 0.3 * torch.randn(n, SIDE, SIDE, generator=gen)
    return picture.unsqueeze(1), mask.unsqueeze(1).float()


def double_conv(n_in, n_out):
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.GroupNorm(4, n_out), nn.ReLU(),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.GroupNorm(4, n_out), nn.ReLU())


class SmallUNet(nn.Module):
    def __init__(self, w=12):
        super().__init__()
        self.enc1, self.enc2, self.mid = double_conv(1, w), double_conv(w, 2 * w), double_conv(2 * w, 3 * w)
        self.up2, self.dec2 = nn.ConvTranspose2d(3 * w, 2 * w, 2, stride=2), double_conv(4 * w, 2 * w)
        self.up1, self.dec1 = nn.ConvTranspose2d(2 * w, w, 2, stride=2), double_conv(2 * w, w)
        self.out = nn.Conv2d(w, 1, 1)

    def forward(self, x):
        a = self.enc1(x)
        b = self.enc2(F.max_pool2d(a, 2))
        h = self.mid(F.max_pool2d(b, 2))
        h = self.dec2(torch.cat([self.up2(h), b], dim=1))
        h = self.dec1(torch.cat([self.up1(h), a], dim=1))
        return self.out(h)


def segmentation_loss(logits, mask):
    bce = F.binary_cross_entropy_with_logits(logits, mask)
    p = torch.sigmoid(logits)
    overlap = (p * mask).sum(dim=(1, 2, 3))
    dice = (2 * overlap + 1) / (p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)) + 1)
    return bce + (1 - dice).mean()


def random_flip(x, m):
    if torch.rand(()) < 0.5:
        x, m = x.flip(-1), m.flip(-1)
    if torch.rand(()) < 0.5:
        x, m = x.flip(-2), m.flip(-2)
    return x, m


@torch.no_grad()
def score(net, x, m):
    net.eval()
    logits = torch.cat([net(c) for c in x.split(100)])
    pred, truth = logits > 0, m > 0.5
    iou = (pred & truth).sum((1, 2, 3)) / (pred | truth).sum((1, 2, 3)).clamp(min=1)
    return segmentation_loss(logits, m).item(), iou.mean().item()


gen = torch.Generator().manual_seed(8)
torch.manual_seed(8)
train_x, train_m = draw_scenes(500, gen)
val_x, val_m = draw_scenes(100, gen)
test_x, test_m = draw_scenes(200, gen)
mean, std = train_x.mean(), train_x.std()
train_x, val_x, test_x = ((t - mean) / std for t in (train_x, val_x, test_x))

net = SmallUNet()
epochs, batch = 10, 20
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=epochs * len(train_x) // batch)
for epoch in range(epochs):
    net.train()
    running = 0.0
    for idx in torch.randperm(len(train_x)).split(batch):
        x, m = random_flip(train_x[idx], train_m[idx])
        loss = segmentation_loss(net(x), m)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        running += loss.item() * len(idx) / len(train_x)
    val_loss, val_iou = score(net, val_x, val_m)
    print(f"epoch {epoch:2d}  train {running:.4f}  val {val_loss:.4f}  IoU {val_iou:.3f}")
everything = (test_m.mean((1, 2, 3))).mean().item()
print(f"test IoU {score(net, test_x, test_m)[1]:.4f} (marking everything: {everything:.3f})")
