"""Mails to the landlord, sorted by urgency class. GRU over words, everything self written."""
import os
import random
import re

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

TOPICS = {
    0: ["water", "pipe", "tap", "leak", "flood", "drain", "toilet", "wet"],
    1: ["heating", "cold", "radiator", "boiler", "freezing", "winter", "oven", "thermostat"],
    2: ["noise", "party", "music", "neighbour", "dog", "drums", "loud", "shouting"],
    3: ["deposit", "rent", "contract", "invoice", "payment", "bank", "refund", "euros"],
}
FILLER = ("hello i write to you because since last week there is again a problem with the in my flat and "
          "nobody has answered me please call or come soon thank you very much this is really not good "
          "we have told it before on monday tuesday friday evening morning night kitchen bathroom").split()


def make_mails(n, rng):
    mails = []
    for _ in range(n):
        k = rng.randrange(4)
        words = [rng.choice(FILLER) for _ in range(rng.randint(6, 10))]
        for _ in range(2):
            words.insert(rng.randrange(len(words)), rng.choice(TOPICS[k]))
        if rng.random() < 0.2:
            words.insert(rng.randrange(len(words)), rng.choice(TOPICS[rng.randrange(4)]))
        mails.append((" ".join(words) + ".", k))
    return mails


class Tokenizer:
    """text -> numbers; 0 is padding, 1 is unknown"""

    def __init__(self, max_words=300):
        self.max_words = max_words
        self.word_index = {}

    def split(self, text):
        return re.findall(r"[a-z]+", text.lower())

    def fit(self, texts):
        for text in texts:
            for w in self.split(text):
                if w not in self.word_index and len(self.word_index) + 2 < self.max_words:
                    self.word_index[w] = len(self.word_index) + 2

    def transform(self, texts):
        return [[self.word_index.get(w, 1) for w in self.split(t)] for t in texts]

    def fit_transform(self, texts):
        self.fit(texts)
        return self.transform(texts)


class MailDataset(Dataset):
    def __init__(self, ids, labels, length=14):
        self.x = torch.zeros(len(ids), length, dtype=torch.long)
        for i, row in enumerate(ids):
            row = row[:length]
            self.x[i, length - len(row):] = torch.tensor(row)
        self.y = torch.tensor(labels)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class MailGRU(nn.Module):
    def __init__(self, max_words=300, emb=24, hidden=32, n_classes=4):
        super().__init__()
        self.embedding = nn.Embedding(max_words, emb, padding_idx=0)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(hidden, n_classes)

    def forward(self, x):
        _, h = self.gru(self.embedding(x))
        return self.fc(self.dropout(h[-1]))


def accuracy(model, loader):
    model.eval()
    hits = n = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x).argmax(1) == y).sum().item()
            n += len(y)
    return hits / n


def main():
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = random.Random(seed)
    train_mails, test_mails = make_mails(1200, rng), make_mails(300, rng)

    tokenizer = Tokenizer()
    train_ids = tokenizer.fit_transform([t for t, _ in train_mails])
    test_ids = tokenizer.transform([t for t, _ in test_mails])

    cut = 1000
    labels = [k for _, k in train_mails]
    train_loader = DataLoader(MailDataset(train_ids[:cut], labels[:cut]), batch_size=32, shuffle=True)
    val_loader = DataLoader(MailDataset(train_ids[cut:], labels[cut:]), batch_size=100)
    test_loader = DataLoader(MailDataset(test_ids, [k for _, k in test_mails]), batch_size=100)

    model = MailGRU()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(1, 13):
        model.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(train_loader):.4f} val {accuracy(model, val_loader):.3f}")
    print(f"Test accuracy = {accuracy(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
