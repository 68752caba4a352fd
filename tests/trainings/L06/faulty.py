"""Brightness levels of every pixel of a handwritten digit, from a noisy picture of it."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
LEVELS = 4

clean = torch.tensor(load_digits().images, dtype=torch.float32)
levels = (clean / 4.01).long()
noisy = (clean + 3 * torch.randn_like(clean)).unsqueeze(1)
noisy = (noisy - noisy.mean()) / noisy.std()


class Segmenter(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Conv2d(width, LEVELS, 1)

    def forward(self, images):
        return self.head(self.body(images))


model = Segmenter()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(4):
    order = torch.randperm(1500)
    for rows in order.split(50):
        scores = model(noisy[rows])
        flat = scores.view(-1, LEVELS)
        loss = criterion(flat, levels[rows].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = (model(noisy[1500:]).argmax(1) == levels[1500:]).float().mean().item()
    model.train()
    print(f"epoch {epoch}: loss {loss.item():.3f}, pixels right {right:.3f}")
