"""A tiny transformer learns whether a rare token occurs; the learning rate is warmed up."""

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

VOCABULARY, LENGTH, WARM_UP = 12, 10, 160


class Detector(nn.Module):
    def __init__(self, size=32):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, size)
        self.places = nn.Parameter(0.1 * torch.randn(LENGTH, size))
        layer = nn.TransformerEncoderLayer(size, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, norm=nn.LayerNorm(size), enable_nested_tensor=False)
        self.head = nn.Linear(size, 2)

    def forward(self, ids):
        return self.head(self.encoder(self.tokens(ids) + self.places).mean(1))


def draw(count):
    ids = torch.randint(1, VOCABULARY, (count, LENGTH))
    holds = torch.randint(0, 2, (count,))
    ids[torch.arange(count), torch.randint(0, LENGTH, (count,))] *= 1 - holds
    return ids, holds


def warm_up(step):
    return min(1, (step + 1) / WARM_UP)


torch.manual_seed(7)
model = Detector()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
scheduler = LambdaLR(optimizer, warm_up)
for step in range(150):
    ids, holds = draw(64)
    loss = nn.functional.cross_entropy(model(ids), holds)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 30 == 29:
        print(step, f"loss {loss.item():.3f} lr {scheduler.get_last_lr()[0]:.2g} norm {model.head.weight.norm():.6f}")
