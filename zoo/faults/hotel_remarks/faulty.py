"""Sentiment of hotel remarks with a small transformer encoder (after the Keras text tutorial)."""
import random

import torch
import torch.nn as nn

random.seed(21)
torch.manual_seed(21)

GOOD = "lovely clean quiet friendly sunny excellent spacious comfortable tasty helpful".split()
BAD = "dirty noisy rude dark awful cramped broken cold smelly overpriced".split()
THINGS = "room staff breakfast bathroom bed lobby pool view shower lift bar garden".split()
FILLER = "we stayed two nights in may with the kids and our dog near station".split()


def remark():
    label = random.randint(0, 1)
    words = []
    for _ in range(random.randint(1, 2)):
        positive = bool(label)
        flip = random.random() < 0.3
        adj = random.choice(GOOD if positive != flip else BAD)
        words += [random.choice(THINGS), "was"] + (["not"] if flip else []) + [adj]
    words += random.choices(FILLER, k=random.randint(0, 4))
    return words, label


corpus = [remark() for _ in range(1800)]
vocab = {"<pad>": 0, "<cls>": 1}
for words, _ in corpus:
    for w in words:
        vocab.setdefault(w, len(vocab))

MAXLEN = 16


def encode(words):
    ids = [1] + [vocab[w] for w in words]
    return ids + [0] * (MAXLEN - len(ids))


X = torch.tensor([encode(w) for w, _ in corpus])
Y = torch.tensor([l for _, l in corpus])
X_train, Y_train = X[:1400], Y[:1400]
X_test, Y_test = X[1400:], Y[1400:]


class RemarkClassifier(nn.Module):
    def __init__(self, vocab_size, d_model=32, nhead=2, layers=2):
        super().__init__()
        self.tok = nn.Embedding(vocab_size, d_model, padding_idx=0)
        self.pos = nn.Embedding(MAXLEN, d_model)
        layer = nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward=64,
                                           dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(d_model, 1)

    def compute_mask(self, tokens):
        # like Embedding(mask_zero=True)
        return tokens != 0

    def forward(self, tokens):
        h = self.tok(tokens) + self.pos(torch.arange(tokens.size(1)))
        h = self.encoder(h, src_key_padding_mask=self.compute_mask(tokens))
        return self.out(h[:, 0]).squeeze(-1)   # the <cls> token


model = RemarkClassifier(len(vocab))
optim = torch.optim.Adam(model.parameters(), lr=2e-3)
bce = nn.BCEWithLogitsLoss()


def accuracy(x, y):
    model.eval()
    with torch.no_grad():
        pred = (model(x) > 0).long()
    model.train()
    return (pred == y).float().mean().item()


for epoch in range(5):
    order = torch.randperm(len(X_train))
    total = 0.0
    for i in range(0, len(order), 40):
        idx = order[i:i + 40]
        optim.zero_grad()
        loss = bce(model(X_train[idx]), Y_train[idx].float())
        loss.backward()
        optim.step()
        total += loss.item() * len(idx)
    print("epoch", epoch, "loss %.4f" % (total / len(X_train)),
          "train acc %.3f" % accuracy(X_train, Y_train),
          "test acc %.3f" % accuracy(X_test, Y_test))

print("final test acc %.4f" % accuracy(X_test, Y_test))
