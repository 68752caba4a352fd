"""Sentiment of the notes that guests leave on the table of a diner."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

PRAISE = "tasty lovely friendly warm crisp fresh quick generous charming perfect clean delicious cosy fair superb".split()
BLAME = "stale rude cold greasy slow dirty bland burnt noisy soggy pricey sour dull awful sticky".split()
PLAIN = ("the a our we had was and with soup pie coffee waiter table burger fries menu lunch today very staff "
         "toast eggs milkshake here again place booth bill my friend for plate of some").split()

PAD, UNK = 0, 1
MAX_LEN = 12


def write_note(label):
    words = random.choices(PLAIN, k=random.randint(5, 9))
    good, bad = (2, random.randint(0, 1)) if label else (random.randint(0, 1), 2)
    words += random.sample(PRAISE, good) + random.sample(BLAME, bad)
    random.shuffle(words)
    return " ".join(words)


def write_notes(n):
    labels = [random.randint(0, 1) for _ in range(n)]
    return [write_note(label) for label in labels], labels


def tokenize(text):
    return text.lower().split()


def build_vocab(texts):
    vocab = {"<pad>": PAD, "<unk>": UNK}
    for text in texts:
        for token in tokenize(text):
            if token not in vocab:
                vocab[token] = len(vocab)
    return vocab


def encode(texts, vocab):
    ids = torch.full((len(texts), MAX_LEN), PAD, dtype=torch.long)
    for i, text in enumerate(texts):
        tokens = tokenize(text)[:MAX_LEN]
        ids[i, :len(tokens)] = torch.tensor([vocab.get(tok, UNK) for tok in tokens])
    return ids


def prepare(texts, labels):
    vocab = build_vocab(texts)
    return encode(texts, vocab), torch.tensor(labels), vocab


class NoteClassifier(nn.Module):
    def __init__(self, vocab_size, dim=24):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, dim, padding_idx=PAD)
        self.conv = nn.Conv1d(dim, 32, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(32, 2)

    def forward(self, ids):
        h = self.emb(ids).transpose(1, 2)
        h = F.relu(self.conv(h)).mean(dim=2)
        return self.out(self.drop(h))


train_texts, train_labels = write_notes(2400)
test_texts, test_labels = write_notes(500)
x_train, y_train, vocab = prepare(train_texts[:2000], train_labels[:2000])
x_dev, y_dev = encode(train_texts[2000:], vocab), torch.tensor(train_labels[2000:])
print("vocabulary", len(vocab), "notes", len(x_train), "dev", len(x_dev))

model = NoteClassifier(len(vocab))
opt = torch.optim.Adam(model.parameters(), lr=2e-3)


def accuracy(x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


best, best_state = 0.0, None
for epoch in range(1, 13):
    model.train()
    perm = torch.randperm(len(x_train))
    for i in range(0, len(perm), 50):
        idx = perm[i:i + 50]
        opt.zero_grad()
        loss = F.cross_entropy(model(x_train[idx]), y_train[idx])
        loss.backward()
        opt.step()
    dev = accuracy(x_dev, y_dev)
    if dev > best:
        best, best_state = dev, {k: v.clone() for k, v in model.state_dict().items()}
    if epoch % 4 == 0:
        print(f"epoch {epoch}: loss {loss.item():.4f} dev accuracy {dev:.3f}")

model.load_state_dict(best_state)
x_test, y_test, _ = prepare(test_texts, test_labels)
print(f"best dev accuracy {best:.3f}")
print(f"accuracy on new notes: {accuracy(x_test, y_test):.4f}")
