"""Digits as sequences of rows, read by a small transformer encoder."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class RowReader(nn.Module):
    def __init__(self, width=32, heads=4):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(0.1 * torch.randn(8, width))
        layer = nn.TransformerEncoderLayer(width, heads, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.classify = nn.Linear(width, 10)

    def forward(self, rows):
        return self.classify(self.encoder(self.embed(rows) + self.position).mean(1))


def batches(x, y, size):
    for chunk in torch.randperm(len(x)).split(size):
        yield x[chunk], y[chunk]


torch.manual_seed(1)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.int64)
pixels = (images // 16).float()
targets = torch.tensor(digits.target)
reader = RowReader()
adam = torch.optim.AdamW(reader.parameters(), lr=3e-3)
for epoch in range(5):
    for rows, digit in batches(pixels[:1440], targets[:1440], 60):
        loss = nn.functional.cross_entropy(reader(rows), digit)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
    reader.eval()
    with torch.inference_mode():
        accuracy = (reader(pixels[1440:]).argmax(1) == targets[1440:]).float().mean().item()
    reader.train()
    print(f"{epoch}: loss {loss.item():.3f}, accuracy {accuracy:.3f}")
