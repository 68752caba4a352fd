"""A landlady sorts the letters of her lodgers: rent, repairs, noise or thanks."""
import os
import random
from collections import Counter

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
torch.manual_seed(SEED)

TOPICS = {
    "rent": "rent pay money late week month owe cheque bank deposit receipt shilling".split(),
    "repairs": "tap leak window broken boiler cold damp lock fix plumber roof stairs".split(),
    "noise": "loud piano night sleep shouting dog upstairs quiet party drum door slam".split(),
    "thanks": "kind thank soup lovely grateful tea cake warm pleasant stay flowers garden".split(),
}
NAMES = list(TOPICS)
FILLER = ("the a and of to in my your dear madam i we please is was it that very room house again when since "
          "would could about with this for on not have been sunday monday letter yours truly").split()


def write_letter():
    topic = random.randrange(4)
    words = []
    for _ in range(random.randint(12, 40)):
        r = random.random()
        if r < 0.12:
            words.append(random.choice(TOPICS[NAMES[topic]]))
        elif r < 0.20:
            words.append(random.choice(TOPICS[random.choice(NAMES)]))
        elif r < 0.24:
            words.append("name%d" % random.randrange(400))
        else:
            words.append(random.choice(FILLER))
    return words, topic


class Letters(Dataset):
    def __init__(self, letters, vocab):
        self.items = [([vocab.get(w, 0) for w in words], topic) for words, topic in letters]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(batch):
    flat, offsets, labels = [], [], []
    for ids, label in batch:
        offsets.append(len(flat))
        flat.extend(ids)
        labels.append(label)
    return torch.tensor(flat), torch.tensor(offsets), torch.tensor(labels)


class Sorter(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab_size, 32, mode="mean")
        self.out = nn.Linear(32, 4)

    def forward(self, flat, offsets):
        return self.out(self.bag(flat, offsets))


train_letters = [write_letter() for _ in range(6000)]
test_letters = [write_letter() for _ in range(1000)]
counts = Counter(w for words, _ in train_letters for w in words)
vocab = {w: i + 1 for i, (w, c) in enumerate(counts.most_common()) if c >= 3}

train = DataLoader(Letters(train_letters, vocab), batch_size=32, shuffle=True, collate_fn=collate)
test = DataLoader(Letters(test_letters, vocab), batch_size=200, collate_fn=collate)
model = Sorter(len(vocab) + 1)
opt = torch.optim.Adam(model.parameters(), lr=0.002)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(8):
    model.train()
    total = n = 0
    for flat, offsets, labels in train:
        opt.zero_grad()
        loss = loss_fn(model(flat, offsets), labels)
        loss.backward()
        opt.step()
        total += loss.item() * len(labels)
        n += len(labels)
    print(f"epoch {epoch} loss {total / n:.4f}")

model.eval()
confusion = torch.zeros(4, 4, dtype=torch.long)
with torch.no_grad():
    for flat, offsets, labels in test:
        for t, p in zip(labels, model(flat, offsets).argmax(1)):
            confusion[t, p] += 1
print(confusion)
print(f"test accuracy {confusion.diag().sum().item() / confusion.sum().item():.3f}")
