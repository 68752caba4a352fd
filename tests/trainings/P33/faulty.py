"""A one-block transformer that copies the largest token of a short sequence; four fixed batches."""

import torch
from torch import nn

VOCABULARY, LENGTH = 12, 8


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.mlp(x)


class Copier(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.project = nn.Linear(VOCABULARY, d)
        self.position = nn.Parameter(0.02 * torch.randn(LENGTH, d))
        self.block = Attention(d)
        self.out = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, VOCABULARY))

    def forward(self, one_hot):
        x = self.block(self.project(one_hot) + self.position)
        return self.out(x.mean(1))


torch.manual_seed(8)
tokens = torch.randint(0, VOCABULARY, (256, LENGTH))
batches = [(nn.functional.one_hot(t, VOCABULARY).float(), t.amax(1)) for t in tokens.split(64)]
model = Copier()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-8, weight_decay=0.01)

for epoch in range(35):
    total = 0.0
    for i in torch.randperm(len(batches)).tolist():
        inputs, largest = batches[i]
        loss = nn.functional.cross_entropy(model(inputs), largest)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 5 == 4:
        print(f"epoch {epoch}: loss {total / len(batches):.4f}")
