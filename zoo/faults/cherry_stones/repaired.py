import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(9)
torch.manual_seed(9)

SIZE = 32
yy, xx = np.mgrid[0:SIZE, 0:SIZE]


def xray_frame():
    """8-bit frame of a pitting line: low contrast, stones only a little brighter than the fruit."""
    frame = np.full((SIZE, SIZE), 96.0) + np.random.uniform(-5, 5)
    frame += np.random.uniform(-0.3, 0.3) * (xx - SIZE / 2) + np.random.uniform(-0.3, 0.3) * (yy - SIZE / 2)
    mask = np.zeros((SIZE, SIZE), dtype=np.int64)
    for _ in range(np.random.randint(2, 5)):
        cy, cx = np.random.uniform(5, SIZE - 5, 2)
        dist = np.sqrt((yy - cy) ** 2 + (xx - cx) ** 2)
        frame[dist < np.random.uniform(4.5, 6.5)] += 10
        if np.random.rand() < 0.6:
            oy, ox = np.random.uniform(-1.5, 1.5, 2)
            stone = ((yy - cy - oy) / 2.2) ** 2 + ((xx - cx - ox) / 2.8) ** 2 < 1
            frame[stone] += 14
            mask[stone] = 1
    frame += np.random.normal(0, 5, frame.shape)
    return np.clip(frame, 0, 255).astype(np.uint8), mask


def collect(n):
    pairs = [xray_frame() for _ in range(n)]
    return np.stack([p[0] for p in pairs]), torch.from_numpy(np.stack([p[1] for p in pairs]))


train_frames, train_masks = collect(400)
test_frames, test_masks = collect(150)
MEAN = train_frames.mean() / 255.0
STD = train_frames.std() / 255.0
print(f"pixel mean {MEAN:.3f}, std {STD:.3f}, stone share {train_masks.float().mean().item():.3f}")


def normalize(frames):
    img = frames.astype(np.float32)
    img = img / 255.0
    img = img - MEAN
    img = img / STD
    return torch.from_numpy(img.astype(np.float32)).unsqueeze(1)


def conv(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU())


class PitNet(nn.Module):
    def __init__(self, ch=8):
        super().__init__()
        self.a = conv(1, ch)
        self.b = conv(ch, 2 * ch)
        self.c = conv(3 * ch, ch)
        self.head = nn.Conv2d(ch, 2, 1)

    def forward(self, x):
        fine = self.a(x)
        coarse = self.b(F.max_pool2d(fine, 2))
        up = F.interpolate(coarse, scale_factor=2, mode="nearest")
        return self.head(self.c(torch.cat([fine, up], dim=1)))


def stone_iou(model, images, masks):
    model.eval()
    with torch.no_grad():
        pred = model(images).argmax(1)
    inter = ((pred == 1) & (masks == 1)).sum().item()
    union = ((pred == 1) | (masks == 1)).sum().item()
    return inter / max(union, 1)


def main():
    images, test_images = normalize(train_frames), normalize(test_frames)
    model = PitNet()
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    for epoch in range(18):
        model.train()
        running = []
        for idx in torch.randperm(len(images)).split(16):
            loss = F.cross_entropy(model(images[idx]), train_masks[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            running.append(loss.item())
        if epoch % 6 == 5:
            print(f"epoch {epoch + 1}: loss {np.mean(running):.4f}")
    print(f"stone IoU {stone_iou(model, test_images, test_masks):.4f}")


main()
