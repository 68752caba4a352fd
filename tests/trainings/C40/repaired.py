import math

import torch
from torch import nn

torch.manual_seed(17)
KEYS, VALUES, PAIRS, DIM = 12, 8, 6, 32


def batch(n):
    """Key-value pairs, then a key: which value belongs to it?"""
    keys = torch.stack([torch.randperm(KEYS)[:PAIRS] for _ in range(n)])
    values = torch.randint(0, VALUES, (n, PAIRS))
    which = torch.randint(0, PAIRS, (n,))
    query = keys[torch.arange(n), which]
    answer = values[torch.arange(n), which]
    return keys, values, query, answer


class Attention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        scores = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(q.size(-1))
        weights = torch.softmax(scores, dim=2)
        return torch.bmm(weights, v)


class Recall(nn.Module):
    def __init__(self):
        super().__init__()
        self.key = nn.Embedding(KEYS, DIM)
        self.value = nn.Embedding(VALUES + 1, DIM)
        self.attention = Attention(DIM)
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, VALUES)

    def forward(self, keys, values, query):
        pairs = self.key(keys) + self.value(values)
        asked = self.key(query) + self.value(torch.full_like(query, VALUES))
        x = torch.cat([pairs, asked[:, None]], 1)
        x = self.norm(x + self.attention(x))
        return self.head(x[:, -1])


model = Recall()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
held_out = batch(500)
for step in range(1, 201):
    keys, values, query, answer = batch(64)
    loss = criterion(model(keys, values, query), answer)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        with torch.no_grad():
            guess = model(*held_out[:3]).argmax(1)
        print(f"step {step}  loss {loss.item():.3f}  accuracy {(guess == held_out[3]).float().mean().item():.3f}")
