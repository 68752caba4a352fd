"""Is the sentence about the sea or the mountains? A bag of words from an embedding."""

import random

import torch
from torch import nn

WORDS = {
    0: ["wave", "salt", "sail", "harbour", "tide", "gull", "shore", "deep", "blue", "net"],
    1: ["peak", "snow", "rock", "goat", "trail", "pine", "ridge", "high", "cold", "hut"],
}
COMMON = ["the", "a", "we", "saw", "and", "on", "by", "near", "far", "day"]
VOCABULARY = {w: i + 1 for i, w in enumerate(WORDS[0] + WORDS[1] + COMMON)}


def sentence(label):
    words = random.choices(WORDS[label] + COMMON, k=random.randint(6, 14))
    return [VOCABULARY[w] for w in words]


def padded(texts):
    longest = max(len(t) for t in texts)
    return torch.tensor([t + [0] * (longest - len(t)) for t in texts])


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY) + 1, 24, padding_idx=0)
        self.out = nn.Linear(24, 2)

    def forward(self, ids):
        there = (ids != 0).float()
        return self.out(self.embedding(ids).sum(1) / there.sum(1, keepdim=True))


random.seed(1)
torch.manual_seed(1)
model = Bag()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(150):
    labels = random.choices([0, 1], k=32)
    ids = padded([sentence(label) for label in labels])
    loss = nn.functional.cross_entropy(model(ids), torch.tensor(labels))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
