# Which department a complaint goes to: logistic regression on hashed words and word pairs, in the way of fastText.
import random
import zlib

import torch
from torch import nn

BUCKETS = 2**15
DEPARTMENTS = {
    "billing": "invoice charged twice refund amount card payment overdue bank discount price",
    "delivery": "parcel courier late lost door package address tracking arrived driver box",
    "technical": "screen app crashes login password update error device battery slow reset",
    "returns": "size colour exchange sent back damaged label wrong item receipt broken shop",
}
FILLER = "the my i was and it to still please again today have not yet since very your order week you".split()


def complaint(rng):
    """One to three words of the department among filler, and often one word that belongs to another."""
    name = rng.choice(list(DEPARTMENTS))
    words = rng.choices(DEPARTMENTS[name].split(), k=rng.randint(1, 3)) + rng.choices(FILLER, k=rng.randint(5, 12))
    if rng.random() < 0.6:
        words.append(rng.choice(DEPARTMENTS[rng.choice(list(DEPARTMENTS))].split()))
    rng.shuffle(words)
    return " ".join(words), list(DEPARTMENTS).index(name)


def hashed(text):
    words = text.split()
    pairs = [f"{a}_{b}" for a, b in zip(words, words[1:])]
    return torch.tensor([zlib.crc32(w.encode()) % BUCKETS for w in words + pairs])


def collate(rows):
    """One flat row of buckets, the places where each text begins, and the labels."""
    ids = [r[0] for r in rows]
    starts = torch.tensor([0] + [len(i) for i in ids[:-1]]).cumsum(0)
    return torch.cat(ids), starts, torch.tensor([r[1] for r in rows])


rng = random.Random(77)
torch.manual_seed(77)
texts = [complaint(rng) for _ in range(4000)]
rows = [(hashed(t), y) for t, y in texts]
train, test = rows[:3200], rows[3200:]

model = nn.EmbeddingBag(BUCKETS, len(DEPARTMENTS), mode="mean", sparse=True)
nn.init.zeros_(model.weight)
optimizer = torch.optim.SGD(model.parameters(), lr=25.0)
epochs = 6
loader = torch.utils.data.DataLoader(train, batch_size=16, shuffle=True, collate_fn=collate)
decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=epochs * len(loader))

for epoch in range(epochs):
    total = 0.0
    for ids, starts, labels in loader:
        loss = nn.functional.cross_entropy(model(ids, starts), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        total += loss.item()
    ids, starts, labels = collate(test)
    with torch.no_grad():
        hits = (model(ids, starts).argmax(1) == labels).float().mean()
    print(f"epoch {epoch + 1} loss {total / len(loader):.3f} held-out accuracy {hits:.3f}")
