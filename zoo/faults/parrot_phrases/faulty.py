# Recordings of parrots, transcribed: which owner taught the bird the phrase?
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

OWNERS = {
    "cook": "soup hot pan stir salt taste pepper boil oven butter".split(),
    "sailor": "mast rope ahoy deck anchor sail wind tide harbour salt".split(),
    "teacher": "chalk sit quiet lesson book page sums spell taste wind".split(),
    "gardener": "rake soil seed rose spade wasp bloom pan rope page".split(),
}
COMMON = "pretty bird hello who there good boy want a nut please come here now you".split()
VOCAB = {w: i + 1 for i, w in enumerate(sorted(set(COMMON + [w for ws in OWNERS.values() for w in ws])))}


def phrase(owner):
    n = random.randint(3, 14)
    words = [random.choice(OWNERS[owner]) if random.random() < 0.35 else random.choice(COMMON) for _ in range(n)]
    words[random.randrange(n)] = random.choice(OWNERS[owner])
    return [VOCAB[w] for w in words]


def build(n):
    owners = list(OWNERS)
    labels = [random.randrange(len(owners)) for _ in range(n)]
    return [phrase(owners[k]) for k in labels], torch.tensor(labels)


def pad(seqs):
    out = torch.zeros(len(seqs), max(map(len, seqs)), dtype=torch.long)
    for i, s in enumerate(seqs):
        out[i, : len(s)] = torch.tensor(s)
    return out


class Listener(nn.Module):
    def __init__(self, vocab, dim=32, channels=48, classes=4):
        super().__init__()
        self.emb = nn.Embedding(vocab + 1, dim, padding_idx=0)
        self.conv = nn.Conv1d(dim, channels, 3, padding=1)
        self.out = nn.Linear(channels, classes)

    def forward(self, ids):
        keep = (ids != 0).unsqueeze(1)
        h = F.relu(self.conv(self.emb(ids).transpose(1, 2)))
        h = h.masked_fill(~keep, 0.0).max(dim=2).values
        return self.out(F.dropout(h, 0.2, self.training))


def predict(model, phrases, batch_size=64):
    """Class of every phrase; phrases of like length share a batch, so little is padded."""
    model.eval()
    order = sorted(range(len(phrases)), key=lambda i: len(phrases[i]))
    preds = []
    with torch.no_grad():
        for start in range(0, len(order), batch_size):
            ids = pad([phrases[i] for i in order[start : start + batch_size]])
            preds.append(model(ids).argmax(dim=1))
    return torch.cat(preds)


train_x, train_y = build(3000)
test_x, test_y = build(600)
model = Listener(len(VOCAB))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(8):
    model.train()
    total, hits = 0.0, 0
    for idx in torch.randperm(len(train_x)).split(50):
        logits = model(pad([train_x[i] for i in idx.tolist()]))
        loss = F.cross_entropy(logits, train_y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
        hits += (logits.argmax(1) == train_y[idx]).sum().item()
    val = (predict(model, test_x) == test_y).float().mean().item()
    print(f"epoch {epoch + 1} loss {total / 3000:.4f} train {hits / 3000:.3f} held out {val:.3f}")

final = (predict(model, test_x) == test_y).float().mean().item()
print(f"held out accuracy {final:.4f}")
