"""Character model of a village's book of proverbs."""
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

SUBJECTS = ["a hungry fox", "an old miller", "the early bird", "a quiet river", "every careful baker", "a borrowed horse"]
VERBS = ["never forgets", "always finds", "seldom follows", "quickly loses", "must carry"]
OBJECTS = ["the winter road", "its own shadow", "a broken wheel", "the golden key", "yesterday's bread"]
ENDS = ["when the snow falls", "before the sun is up", "without a word", "until the well is dry"]


def proverb():
    return f"{random.choice(SUBJECTS)} {random.choice(VERBS)} {random.choice(OBJECTS)} {random.choice(ENDS)}.\n"


train_text = "".join(proverb() for _ in range(400))
valid_text = "".join(proverb() for _ in range(60))
chars = sorted(set(train_text))
stoi = {c: i for i, c in enumerate(chars)}


def encode(text):
    return torch.tensor([stoi[c] for c in text if c in stoi], dtype=torch.long)


train_ids, valid_ids = encode(train_text), encode(valid_text)
print(f"{len(train_ids)} characters, alphabet of {len(chars)}")


class ProverbModel(nn.Module):
    def __init__(self, vocab, emb=24, hidden=80):
        super().__init__()
        self.emb = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x, state=None):
        h, state = self.gru(self.emb(x), state)
        logits = self.out(self.drop(h))
        return logits, state


def batch(ids, size=32, length=40):
    starts = torch.randint(0, len(ids) - length - 1, (size,))
    x = torch.stack([ids[s:s + length] for s in starts])
    y = torch.stack([ids[s + 1:s + length + 1] for s in starts])
    return x, y


def next_char_accuracy(model, ids):
    model.eval()
    with torch.no_grad():
        out, _ = model(ids[:-1].unsqueeze(0))
    model.train()
    return (out[0].argmax(-1) == ids[1:]).float().mean().item()


def continue_text(model, start, n=50):
    model.eval()
    ids, state, text = encode(start).unsqueeze(0), None, start
    with torch.no_grad():
        for _ in range(n):
            out, state = model(ids, state)
            nxt = out[:, -1].argmax(-1, keepdim=True)
            text += chars[nxt.item()]
            ids = nxt
    model.train()
    return text


model = ProverbModel(len(chars))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()

for step in range(1, 251):
    x, y = batch(train_ids)
    out, _ = model(x)
    loss = criterion(out.reshape(-1, len(chars)), y.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:4d}  loss {loss.item():.4f}  next character {next_char_accuracy(model, valid_ids):.4f}")

print(repr(continue_text(model, "a quiet ")))
print(f"held-out next-character accuracy: {next_char_accuracy(model, valid_ids):.4f}")
