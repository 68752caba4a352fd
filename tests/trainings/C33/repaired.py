import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
X = torch.randint(1, 12, (1024, 16))
Y = (X[:, :8].sum(1) > X[:, 8:].sum(1)).long()


class PositionEncoding(nn.Module):
    def __init__(self, width, length=256):
        super().__init__()
        at = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
        pe = torch.zeros(length, 1, width)
        pe[:, 0, 0::2], pe[:, 0, 1::2] = at.sin(), at.cos()
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(1)].transpose(0, 1)


class Classifier(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.tokens = nn.Embedding(12, width)
        self.places = PositionEncoding(width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        z = self.layers(self.places(self.tokens(x)))
        return self.head(z.mean(1))


model = Classifier()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for _epoch in range(8):
    for x, y in DataLoader(TensorDataset(X, Y), 64, shuffle=True):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
