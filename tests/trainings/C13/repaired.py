"""Sentiment of made-up reviews: mean of word vectors, then a small classifier. Reviews are padded with id 0."""

import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

PAD, WORDS, LONGEST = 0, 200, 20


class Reviews(Dataset):
    def __init__(self, count, seed):
        draw = random.Random(seed)
        self.items = []
        for _ in range(count):
            label = draw.randrange(3)
            words = [draw.randrange(1, WORDS) for _ in range(draw.randrange(8, LONGEST))]
            for _ in range(3):
                words[draw.randrange(len(words))] = 1 + label * 10 + draw.randrange(10)
            self.items.append((words, label))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def collate(items):
    ids = torch.full((len(items), LONGEST), PAD)
    for row, (words, _) in enumerate(items):
        ids[row, : len(words)] = torch.tensor(words)
    return ids, torch.tensor([label for _, label in items])


class MeanOfWords(nn.Module):
    def __init__(self):
        super().__init__()
        self.vectors = nn.Embedding(WORDS, 32, padding_idx=PAD)
        self.classify = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 3))

    def forward(self, ids):
        mask = (ids != PAD).unsqueeze(-1).float()
        mean = (self.vectors(ids) * mask).sum(1) / mask.sum(1).clamp(min=1)
        return self.classify(mean)


torch.manual_seed(8)
loader = DataLoader(Reviews(1600, 0), batch_size=64, shuffle=True, collate_fn=collate)
model = MeanOfWords()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(5):
    for ids, labels in loader:
        loss = nn.functional.cross_entropy(model(ids), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.3f}")

model.eval()
with torch.inference_mode():
    ids, labels = collate(list(Reviews(300, 1)))
    logits = model(ids)
print("accuracy", (logits.argmax(1) == labels).float().mean().item(), "spread", logits.std(0).mean().item())
