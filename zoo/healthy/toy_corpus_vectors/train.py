# Word vectors from a small made-up corpus: skip-gram with negative samples.
import random
from collections import Counter

import torch
from torch import nn
from torch.nn.functional import logsigmoid, normalize

random.seed(6)
torch.manual_seed(6)

GROUPS = {
    "animal": "dog cat horse cow goat sheep pig hen duck goose".split(),
    "food": "bread cheese soup rice apple pear cake honey beans plum".split(),
    "tool": "hammer saw drill knife rope ladder shovel axe nail brush".split(),
    "place": "house barn river forest market bridge mill church field road".split(),
    "move": "runs walks jumps swims crawls hides waits sleeps".split(),
    "make": "cuts cooks builds mends carries sells cleans holds".split(),
    "look": "old red small quiet heavy bright cold wet".split(),
}
PATTERNS = [
    "the {look} {animal} {move} near the {place}",
    "she {make} the {food} at the {place}",
    "he {make} a {look} {tool} for the {place}",
    "a {animal} and a {animal} {move} in the {look} {place}",
    "they eat {food} with {food} and {look} {food}",
    "take the {tool} and the {tool} to the {place}",
]


def sentence():
    words = random.choice(PATTERNS).split()
    return [random.choice(GROUPS[w.strip("{}")]) if w[0] == "{" else w for w in words]


corpus = [sentence() for _ in range(3000)]
counts = Counter(w for s in corpus for w in s)
vocab = [w for w, _ in counts.most_common()]
index = {w: i for i, w in enumerate(vocab)}
freq = torch.tensor([counts[w] for w in vocab], dtype=torch.float)
keep = (0.02 * freq.sum() / freq).sqrt().clamp(max=1.0).tolist()

pairs = []
for s in corpus:
    ids = [index[w] for w in s if random.random() < keep[index[w]]]
    for i, centre in enumerate(ids):
        pairs += [(centre, ids[j]) for j in range(max(0, i - 2), min(len(ids), i + 3)) if j != i]
pairs = torch.tensor(pairs)

vectors = nn.Embedding(len(vocab), 24, sparse=True)
contexts = nn.Embedding(len(vocab), 24, sparse=True)
nn.init.uniform_(vectors.weight, -0.5 / 24, 0.5 / 24)
nn.init.zeros_(contexts.weight)
optimizer = torch.optim.SparseAdam([*vectors.parameters(), *contexts.parameters()], lr=0.01)
noise = freq**0.75


def purity():
    """How often the nearest word is of the same group."""
    known = [(index[w], g) for g, ws in GROUPS.items() for w in ws]
    v = normalize(vectors.weight.detach()[[i for i, _ in known]], dim=1)
    near = (v @ v.T).fill_diagonal_(-1).argmax(1)
    return sum(known[a][1] == known[b][1] for a, b in enumerate(near.tolist())) / len(known)


step = 0
for epoch in range(3):
    for batch in pairs[torch.randperm(len(pairs))].split(256):
        centre, context = batch.unbind(1)
        negative = torch.multinomial(noise, 5 * len(batch), replacement=True).view(-1, 5)
        v = vectors(centre)
        positive_score = (v * contexts(context)).sum(1)
        negative_score = torch.einsum("bd,bkd->bk", v, contexts(negative))
        loss = -(logsigmoid(positive_score) + logsigmoid(-negative_score).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    print(f"epoch {epoch + 1} step {step} loss {loss.item():.4f} purity {purity():.3f}")
