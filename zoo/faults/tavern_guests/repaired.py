# Where does a guest come from? Character GRU over surnames made from syllables.
import os
import random

import numpy as np
import torch
import torch.nn as nn

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

SYLLABLES = {
    "north": (["sven", "bjor", "hal", "gun", "ing", "tor", "ras", "lind"], ["sson", "berg", "gren", "dahl", "strom"]),
    "south": (["ros", "bian", "fer", "mar", "gal", "mon", "ric", "ber"], ["etti", "ini", "aro", "elli", "one"]),
    "east": (["kov", "pet", "iva", "nov", "mar", "sok", "ber", "gor"], ["enko", "sky", "ovic", "ak", "olov"]),
    "west": (["mac", "hal", "don", "fer", "ken", "bal", "ros", "mor"], ["gan", "nell", "ley", "ough", "more"]),
}
PLACES = list(SYLLABLES)
MIDDLE = ["a", "e", "i", "o", "an", "er", "il"]
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
CHAR = {c: i + 1 for i, c in enumerate(ALPHABET)}


def invent(place):
    start, end = SYLLABLES[place]
    name = random.choice(start) + random.choice(MIDDLE) * random.randint(0, 1) + random.choice(end)
    letters = list(name)
    if random.random() < 0.35:
        letters[random.randrange(len(letters))] = random.choice(ALPHABET)
    return "".join(letters)


def encode(names):
    lengths = torch.tensor([len(n) for n in names])
    ids = torch.zeros(len(names), int(lengths.max()), dtype=torch.long)
    for i, n in enumerate(names):
        ids[i, :len(n)] = torch.tensor([CHAR[c] for c in n])
    return ids, lengths


class GuestNet(nn.Module):
    def __init__(self, emb=24, hidden=48):
        super().__init__()
        self.embedding = nn.Embedding(27, emb, padding_idx=0)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(hidden, len(PLACES))

    def forward(self, ids, lengths):
        e = self.embedding(ids)
        out, _ = self.gru(e)
        last = out[torch.arange(len(ids)), lengths - 1]
        return self.fc(self.dropout(last))


def batches(pairs, size, shuffle):
    pairs = list(pairs)
    if shuffle:
        random.shuffle(pairs)
    for i in range(0, len(pairs), size):
        chunk = pairs[i:i + size]
        ids, lengths = encode([p[0] for p in chunk])
        yield ids, lengths, torch.tensor([p[1] for p in chunk])


pairs = []
for k, place in enumerate(PLACES):
    for _ in range(450):
        pairs.append((invent(place), k))
random.shuffle(pairs)
train_pairs, test_pairs = pairs[:1200], pairs[1200:]

net = GuestNet()
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)


def score(model, data):
    model.eval()
    hits = 0
    with torch.no_grad():
        for ids, lengths, y in batches(data, 200, shuffle=False):
            hits += (model(ids, lengths).argmax(dim=-1) == y).sum().item()
    return hits / len(data)


best, patience, wait = 0.0, 5, 0
for epoch in range(10):
    net.train()
    tot, cnt = 0.0, 0
    for ids, lengths, y in batches(train_pairs, 32, shuffle=True):
        opt.zero_grad()
        loss = loss_fn(net(ids, lengths), y)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        tot += loss.item()
        cnt += 1
    acc = score(net, test_pairs)
    print(f"{epoch + 1:2d} loss {tot / cnt:.3f} held-out {acc:.3f}")
    if acc > best:
        best, wait = acc, 0
    else:
        wait += 1
        if wait >= patience:
            break

print("held-out accuracy:", round(score(net, test_pairs), 4))
for name in ["svenasson", "rosetti", "petenko", "macoley"]:
    ids, lengths = encode([name])
    print(name, "->", PLACES[net(ids, lengths).argmax().item()])
