"""Sort the questions sent to a gardening magazine into the editors' sections."""
import random

import torch
import torch.nn as nn
from torch.autograd import Variable

random.seed(12)
torch.manual_seed(12)

SECTIONS = ["lawn", "roses", "vegetables", "pests", "pond", "pruning"]
LETTERS = "aeioubdfgklmnprst"
MAX_LEN = 20


def invent_word():
    return "".join(random.choice(LETTERS) for _ in range(random.randint(3, 8)))


COMMON = [invent_word() for _ in range(160)]
TOPICAL = {s: [invent_word() for _ in range(60)] for s in SECTIONS}


def write_question():
    section = random.choice(SECTIONS)
    other = random.choice(SECTIONS)
    words = []
    for _ in range(random.randint(9, MAX_LEN)):
        r = random.random()
        if r < 0.28:
            words.append(random.choice(TOPICAL[section]))
        elif r < 0.36:
            words.append(random.choice(TOPICAL[other]))
        else:
            words.append(random.choice(COMMON))
    return words, SECTIONS.index(section)


def vocabulary(questions):
    vocab = {"<pad>": 0, "<unk>": 1}
    for words, _ in questions:
        for w in words:
            vocab.setdefault(w, len(vocab))
    return vocab


def encode(questions, vocab):
    ids = torch.zeros(len(questions), MAX_LEN, dtype=torch.long)
    labels = torch.tensor([label for _, label in questions])
    for row, (words, _) in enumerate(questions):
        ids[row, :len(words)] = torch.tensor([vocab.get(w, 1) for w in words])
    return ids, labels


class SectionModel(nn.Module):
    def __init__(self, vocab_size, dim=12):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.head = nn.Sequential(nn.Linear(dim, 24), nn.ReLU(), nn.Linear(24, len(SECTIONS)))

    def forward(self, ids):
        mask = (ids != 0).float().unsqueeze(2)
        emb = self.emb(ids)
        emb = Variable(emb)
        pooled = (emb * mask).sum(1) / mask.sum(1)
        return self.head(pooled)


def evaluate(model, ids, labels):
    model.eval()
    with torch.no_grad():
        return (model(ids).argmax(1) == labels).float().mean().item()


def train(model, ids, labels, epochs=16, batch_size=50):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(ids)).split(batch_size):
            optimizer.zero_grad()
            loss = criterion(model(ids[idx]), labels[idx])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        if epoch % 4 == 3:
            print("epoch %d  loss %.4f  train acc %.3f" % (epoch + 1, total / len(ids), evaluate(model, ids, labels)))


train_q = [write_question() for _ in range(3000)]
test_q = [write_question() for _ in range(800)]
vocab = vocabulary(train_q)
train_ids, train_y = encode(train_q, vocab)
test_ids, test_y = encode(test_q, vocab)
model = SectionModel(len(vocab))
train(model, train_ids, train_y)
print("questions sorted correctly: %.4f" % evaluate(model, test_ids, test_y))
