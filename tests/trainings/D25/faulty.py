import random
from collections import Counter

import torch
from torch import nn

random.seed(0)
torch.manual_seed(0)
THINGS = {t: [f"{t}{i}" for i in range(40)] for t in ("farm", "sea", "code")}
COMMON = [f"the{i}" for i in range(20)]


def text(topic):
    return [random.choice(COMMON if random.random() < 0.55 else THINGS[topic]) for _ in range(16)]


texts = [(text(t), i) for _ in range(500) for i, t in enumerate(THINGS)]
counts = Counter(w for words, _ in texts for w in words)
vocabulary = {w: i + 1 for i, (w, _) in enumerate(counts.most_common(20))}
ids = torch.tensor([[vocabulary.get(w, 0) for w in words] for words, _ in texts])
topics = torch.tensor([topic for _, topic in texts])


class Topic(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.EmbeddingBag(len(vocabulary) + 1, 32)
        self.out = nn.Linear(32, 3)

    def forward(self, x):
        return self.out(self.words(x))


model = Topic()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(8):
    for rows in torch.randperm(len(ids)).split(30):
        loss = nn.functional.cross_entropy(model(ids[rows]), topics[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
