# -*- coding: utf-8 -*-
"""Which of five questions does a short answer belong to? (final project, NLP track)"""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

PAD, CLS = 0, 1
TOPICS = {
    "photosynthesis": "leaf light chlorophyll sugar oxygen sun green water".split(),
    "volcano": "lava ash magma crater eruption rock heat mountain".split(),
    "parliament": "vote law member debate house election speaker party".split(),
    "orbit": "gravity planet moon ellipse sun satellite period star".split(),
    "market": "price demand supply money trade goods wage tax".split(),
}
FILLER = "the a is of and because it when then so very some this that they have more in".split()
WORDS = sorted({w for ws in TOPICS.values() for w in ws} | set(FILLER))
VOCAB = {w: i + 2 for i, w in enumerate(WORDS)}
MAX_LEN = 24


def write_answer(rnd):
    label = rnd.randrange(len(TOPICS))
    names = list(TOPICS)
    n = rnd.randint(8, 20)
    words = []
    for _ in range(n):
        u = rnd.random()
        if u < 0.3:
            words.append(rnd.choice(TOPICS[names[label]]))
        elif u < 0.4:
            words.append(rnd.choice(TOPICS[rnd.choice(names)]))
        else:
            words.append(rnd.choice(FILLER))
    return words, label


def encode(words):
    ids = [CLS] + [VOCAB[w] for w in words]
    return ids + [PAD] * (MAX_LEN - len(ids))


def make_split(count, rnd):
    answers = [write_answer(rnd) for _ in range(count)]
    return torch.tensor([encode(w) for w, _ in answers]), torch.tensor([l for _, l in answers])


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(d, heads, dropout=0.1, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x, mask):
        h = self.n1(x)
        x = x + self.attn(h, h, h, key_padding_mask=mask, need_weights=False)[0]
        return x + self.ff(self.n2(x))


class AnswerClassifier(nn.Module):
    def __init__(self, n_words, n_topics, d=32, depth=2):
        super().__init__()
        self.embed = nn.Embedding(n_words, d, padding_idx=PAD)
        self.place = nn.Embedding(MAX_LEN, d)
        self.blocks = nn.ModuleList(Block(d, 4) for _ in range(depth))
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, n_topics)

    def forward(self, ids):
        mask = ids != PAD
        x = self.embed(ids) + self.place(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x[:, 0]))


def main():
    torch.manual_seed(11)
    rnd = random.Random(11)
    x_train, y_train = make_split(1500, rnd)
    x_val, y_val = make_split(400, rnd)
    model = AnswerClassifier(len(VOCAB) + 2, len(TOPICS))
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    for epoch in range(8):
        model.train()
        losses = []
        for batch in torch.randperm(len(x_train)).split(50):
            loss = F.cross_entropy(model(x_train[batch]), y_train[batch])
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            acc = (model(x_val).argmax(-1) == y_val).float().mean().item()
        print(f"epoch {epoch} loss {sum(losses) / len(losses):.3f} val_acc {acc:.3f}")


main()
