import random

import torch
import torch.nn.functional as F

GOOD = "great lovely superb tasty warm friendly fresh crisp charming".split()
BAD = "awful bland cold rude stale greasy slow noisy dirty".split()
FILL = "the food was and service place we had with really very quite a soup table waiter menu dessert".split()
VOCAB = {w: i for i, w in enumerate(["<unk>", *GOOD, *BAD, *FILL])}


def review(label, rng):
    """Words of a review; 'not' is left out, sentiment words are mixed."""
    words = [rng.choice(FILL) for _ in range(rng.randint(6, 14))]
    mine, other = (GOOD, BAD) if label else (BAD, GOOD)
    words += [rng.choice(mine) for _ in range(rng.randint(2, 3))] + [rng.choice(other) for _ in range(rng.randint(0, 2))]
    rng.shuffle(words)
    return [VOCAB.get(w, 0) for w in words]


def corpus(n, rng):
    labels = [rng.randint(0, 1) for _ in range(n)]
    return [(torch.tensor(review(y, rng)), float(y)) for y in labels]


class BagOfWords(torch.nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.emb = torch.nn.Embedding(len(VOCAB), dim)
        self.hidden = torch.nn.Linear(dim, 32)
        self.score = torch.nn.Linear(32, 1)

    def forward(self, ids):
        return self.score(F.relu(self.hidden(self.emb(ids).mean(0)))).squeeze()


random.seed(33)
torch.manual_seed(33)
rng = random.Random(random.randrange(10 ** 6))
train, test = corpus(600, rng), corpus(200, rng)
model = BagOfWords()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(6):
    random.shuffle(train)
    total = 0.0
    for start in range(0, len(train), 20):
        chunk = train[start:start + 20]
        # reviews have different lengths, so score them one by one
        scores = torch.tensor([model(ids) for ids, _ in chunk], requires_grad=True)
        labels = torch.tensor([y for _, y in chunk])
        loss = F.binary_cross_entropy_with_logits(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chunk)
    with torch.no_grad():
        right = sum((model(ids) > 0).item() == (y == 1) for ids, y in test)
    print(f"epoch {epoch} loss {total / len(train):.4f} accuracy {right / len(test):.3f}")
