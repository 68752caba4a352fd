import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(7)


class Blobs(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        ys, xs = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
        self.images, self.masks = [], []
        for _ in range(n):
            mask = torch.zeros(24, 24)
            for _ in range(2):
                cy, cx, r = torch.rand(3, generator=g) * torch.tensor([24.0, 24.0, 4.0]) + torch.tensor([0.0, 0.0, 2.0])
                mask[(ys - cy) ** 2 + (xs - cx) ** 2 < r**2] = 1
            image = 0.6 * mask + 0.4 * torch.randn(24, 24, generator=g)
            self.images.append(image[None])
            self.masks.append(mask[None])

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], self.masks[i]


class DiceLoss(nn.Module):
    def __init__(self, smooth=1.0):
        super().__init__()
        self.smooth = smooth

    def forward(self, inputs, targets):
        inputs = torch.sigmoid(inputs).view(-1)
        targets = targets.view(-1)
        intersection = (inputs * targets).sum()
        dice = (2.0 * intersection + self.smooth) / (inputs.sum() + targets.sum() + self.smooth)
        return dice


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU())


model = nn.Sequential(block(1, 12), block(12, 12), nn.Conv2d(12, 1, 1))
criterion = DiceLoss()
optimizer = optim.Adam(model.parameters(), lr=2e-3)
train = DataLoader(Blobs(320, 1), batch_size=16, shuffle=True)
val = DataLoader(Blobs(80, 2), batch_size=40)

for epoch in range(6):
    model.train()
    running = 0.0
    for images, masks in train:
        optimizer.zero_grad()
        loss = criterion(model(images), masks)
        loss.backward()
        optimizer.step()
        running += loss.item()
    model.eval()
    inter = union = 0.0
    with torch.no_grad():
        for images, masks in val:
            pred = (torch.sigmoid(model(images)) > 0.5).float()
            inter += (pred * masks).sum().item()
            union += ((pred + masks) > 0).float().sum().item()
    print(f"[{epoch + 1}] loss: {running / len(train):.3f}  val IoU: {inter / union:.3f}")
