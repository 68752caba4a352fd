"""Bright rectangles in noise are marked, from images that are mirrored at random."""

import torch
from torch import nn

torch.manual_seed(7)


def scene(size=24):
    mask = torch.zeros(size, size)
    for _ in range(2):
        top, left = torch.randint(0, size - 8, (2,)).tolist()
        mask[top : top + int(torch.randint(3, 8, ())), left : left + 5] = 1
    return (mask + 0.5 * torch.randn(size, size))[None], mask


class Scenes(torch.utils.data.Dataset):
    def __init__(self, n, augment):
        self.scenes = [scene() for _ in range(n)]
        self.augment = augment

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, i):
        image, mask = self.scenes[i]
        if self.augment and torch.rand(()) < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        return image, mask


def block(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())


train = torch.utils.data.DataLoader(Scenes(512, augment=True), batch_size=32, shuffle=True)
valid = torch.utils.data.DataLoader(Scenes(128, augment=False), batch_size=64)
model = nn.Sequential(block(1, 12), block(12, 12), nn.Conv2d(12, 1, 3, padding=1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(6):
    model.train()
    for image, mask in train:
        loss = nn.functional.binary_cross_entropy_with_logits(model(image)[:, 0], mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    both = either = 0
    with torch.no_grad():
        for image, mask in valid:
            found = model(image)[:, 0] > 0
            both += (found & (mask > 0)).sum().item()
            either += (found | (mask > 0)).sum().item()
    print(f"epoch {epoch + 1} loss {loss.item():.3f} intersection over union {both / either:.3f}")
