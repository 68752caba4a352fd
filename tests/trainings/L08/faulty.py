"""Segment bright discs in noisy pictures with a tiny fully convolutional network."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Discs(Dataset):
    """Pictures with one or two discs, and their masks as 8-bit pictures."""

    def __init__(self, count, seed):
        g = torch.Generator().manual_seed(seed)
        grid = torch.stack(torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij"))
        self.images, self.masks = [], []
        for _ in range(count):
            mask = torch.zeros(24, 24, dtype=torch.bool)
            for _ in range(int(torch.randint(1, 3, (1,), generator=g))):
                center = torch.rand(2, 1, 1, generator=g) * 16 + 4
                radius = torch.rand(1, generator=g) * 3 + 3
                mask |= ((grid - center) ** 2).sum(0) < radius**2
            picture = mask.float() * 1.5 + torch.randn(24, 24, generator=g)
            self.images.append((picture - picture.mean()) / picture.std())
            self.masks.append(mask.to(torch.uint8) * 255)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        mask = self.masks[i].float()
        return self.images[i][None], mask[None]


def iou(logits, mask):
    predicted, true = logits > 0, mask > 0
    return ((predicted & true).sum() / (predicted | true).sum().clamp(min=1)).item()


def main():
    torch.manual_seed(7)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 12, 5, padding=2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 1, 1),
    )
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    train = DataLoader(Discs(320, 0), batch_size=16, shuffle=True)
    held_out = next(iter(DataLoader(Discs(64, 1), batch_size=64)))
    for epoch in range(4):
        model.train()
        for image, mask in train:
            loss = criterion(model(image), mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            print(f"epoch {epoch}: loss {loss.item():.3f}, IoU {iou(model(held_out[0]), held_out[1]):.3f}")


if __name__ == "__main__":
    main()
