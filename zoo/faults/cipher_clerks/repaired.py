# Clerks encode code words with the cipher of the day; the model learns the cipher.
# Encoder and decoder as in the tutorial, time first inside the model.
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

PAD, BOS, EOS = 0, 1, 2
LETTERS = "abcdefgh"
V = 3 + len(LETTERS)

CFG = dict(hidden=80, emb=32, batch=64, epochs=7, lr=4e-3, clip=1.0, n_train=3200, n_test=400)


def encode(word):
    return torch.tensor([BOS] + [3 + LETTERS.index(c) for c in word] + [EOS])


def cipher(word):
    """Each letter moves on by three, and pairs of letters change places."""
    moved = [LETTERS[(LETTERS.index(c) + 3) % len(LETTERS)] for c in word]
    for i in range(0, len(moved) - 1, 2):
        moved[i], moved[i + 1] = moved[i + 1], moved[i]
    return "".join(moved)


def code_words(n):
    return ["".join(random.choices(LETTERS, k=random.randint(3, 5))) for _ in range(n)]


def collate(pairs):
    src = pad_sequence([encode(a) for a, _ in pairs], batch_first=True, padding_value=PAD)
    tgt = pad_sequence([encode(b) for _, b in pairs], batch_first=True, padding_value=PAD)
    return src, tgt


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, CFG["emb"], padding_idx=PAD)
        self.rnn = nn.GRU(CFG["emb"], CFG["hidden"])

    def forward(self, src):                      # src: (S, B)
        return self.rnn(self.emb(src))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, CFG["emb"], padding_idx=PAD)
        self.rnn = nn.GRU(CFG["emb"], CFG["hidden"])
        self.query = nn.Linear(CFG["hidden"], CFG["hidden"], bias=False)
        self.out = nn.Linear(2 * CFG["hidden"], V)

    def forward(self, tgt, memory, state, mask):   # tgt: (T, B), memory: (S, B, H)
        h, state = self.rnn(self.emb(tgt), state)
        score = torch.einsum("tbh,sbh->tbs", self.query(h), memory) / CFG["hidden"] ** 0.5
        score = score.masked_fill(mask.t()[None], -1e9)
        context = torch.einsum("tbs,sbh->tbh", score.softmax(-1), memory)
        return self.out(torch.cat([h, context], dim=-1)), state


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, src, tgt_in):
        memory, state = self.encoder(src)
        logits, _ = self.decoder(tgt_in, memory, state, src == PAD)
        return logits                              # (T, B, V)

    @torch.no_grad()
    def translate(self, src, steps):
        memory, state = self.encoder(src)
        token = torch.full((1, src.shape[1]), BOS)
        produced = []
        for _ in range(steps):
            logits, state = self.decoder(token, memory, state, src == PAD)
            token = logits.argmax(-1)
            produced.append(token)
        return torch.cat(produced)


words = list(dict.fromkeys(code_words(CFG["n_train"] + CFG["n_test"] + 1500)))
pairs = [(w, cipher(w)) for w in words]
test_pairs, train_pairs = pairs[:CFG["n_test"]], pairs[CFG["n_test"]:][:CFG["n_train"]]
train_loader = DataLoader(train_pairs, batch_size=CFG["batch"], shuffle=True, collate_fn=collate)
test_loader = DataLoader(test_pairs, batch_size=100, collate_fn=collate)

model = Seq2Seq()
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
optimizer = torch.optim.Adam(model.parameters(), lr=CFG["lr"])
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=CFG["lr"], total_steps=CFG["epochs"] * len(train_loader))


def letters_right():
    model.eval()
    right = total = 0
    for src, tgt in test_loader:
        guess = model.translate(src.t(), tgt.shape[1] - 1).t()
        real = tgt[:, 1:] > EOS
        right += ((guess == tgt[:, 1:]) & real).sum().item()
        total += real.sum().item()
    return right / total


for epoch in range(1, CFG["epochs"] + 1):
    model.train()
    running = 0.0
    for src, tgt in train_loader:
        logits = model(src.t(), tgt[:, :-1].t())
        loss = criterion(logits.reshape(-1, V), tgt[:, 1:].t().reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CFG["clip"])
        optimizer.step()
        scheduler.step()
        running += loss.item()
    print(f"epoch {epoch:2d} loss {running / len(train_loader):.3f} letters {letters_right():.3f}")

print(f"letters right on new words: {letters_right():.4f}")
