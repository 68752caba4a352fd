import torch
import torch.nn as nn
import torch.nn.functional as F


def scenes(n, size=16):
    """Noisy RGB scenes with one disc (1) and one box (2) on background (0)."""
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    masks = torch.zeros(n, size, size, dtype=torch.long)
    for i in range(n):
        cy, cx = torch.randint(3, size - 3, (2,)).tolist()
        r = int(torch.randint(2, 5, (1,)))
        masks[i][(yy - cy) ** 2 + (xx - cx) ** 2 <= r * r] = 1
        top, left = torch.randint(0, size - 5, (2,)).tolist()
        h, w = torch.randint(3, 6, (2,)).tolist()
        masks[i][top:top + h, left:left + w] = 2
    palette = torch.tensor([[0.1, 0.2, 0.1], [0.6, 0.3, 0.2], [0.2, 0.3, 0.7]])
    imgs = palette[masks].permute(0, 3, 1, 2) + 0.25 * torch.randn(n, 3, size, size)
    return imgs, masks


class SegNet(nn.Module):
    def __init__(self, classes=3, width=16):
        super().__init__()
        self.classes = classes
        self.enc = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        )
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        return self.out(self.enc(x))


def mean_iou(net, imgs, masks):
    net.eval()
    with torch.no_grad():
        pred = net(imgs).argmax(1)
    ious = []
    for c in range(net.classes):
        inter = ((pred == c) & (masks == c)).sum().item()
        union = ((pred == c) | (masks == c)).sum().item()
        ious.append(inter / max(union, 1))
    net.train()
    return sum(ious) / len(ious)


def train(epochs=6, bs=16):
    torch.manual_seed(3)
    imgs, masks = scenes(400)
    test_imgs, test_masks = scenes(128)
    net = SegNet()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for idx in torch.randperm(len(imgs)).split(bs):
            out = net(imgs[idx])
            loss = F.cross_entropy(out.reshape(-1, net.classes), masks[idx].reshape(-1))
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        print(f"[{epoch}] loss={total / len(imgs):.4f} mIoU={mean_iou(net, test_imgs, test_masks):.4f}")


train()
