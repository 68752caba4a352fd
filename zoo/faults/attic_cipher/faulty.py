"""Seq2seq: decipher the short notes found in an attic (every letter was replaced and the word turned round)."""
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

LETTERS = "abcdefghijkl"
SOS, EOS = 0, 1
VOCAB = len(LETTERS) + 2
LENGTH = 5
key = list(range(len(LETTERS)))
random.shuffle(key)


def get_batch(n):
    plain = torch.randint(0, len(LETTERS), (n, LENGTH))
    cipher = torch.tensor(key)[plain].flip(1)
    eos = torch.full((n, 1), EOS)
    return cipher + 2, torch.cat([plain + 2, eos], dim=1)


class Encoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)

    def forward(self, src):
        _, hidden = self.gru(self.embedding(src))
        return hidden


class Decoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, VOCAB)

    def forward(self, tokens, hidden):
        output, hidden = self.gru(self.embedding(tokens), hidden)
        return self.out(output), hidden


encoder, decoder = Encoder(80), Decoder(80)
criterion = nn.CrossEntropyLoss()
params = list(encoder.parameters()) + list(decoder.parameters())
optimizer = torch.optim.Adam(params, lr=4e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=500)


def train_step(src, tgt):
    optimizer.zero_grad()
    hidden = encoder(src)
    decoder_input = tgt  # teacher forcing: feed the target
    logits, _ = decoder(decoder_input, hidden)
    loss = criterion(logits.reshape(-1, VOCAB), tgt.reshape(-1))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    optimizer.step()
    scheduler.step()
    return loss.item()


@torch.no_grad()
def decipher(src):
    hidden = encoder(src)
    token = torch.full((len(src), 1), SOS)
    result = []
    for _ in range(LENGTH + 1):
        logits, hidden = decoder(token, hidden)
        token = logits.argmax(-1)
        result.append(token)
    return torch.cat(result, dim=1)


def show(row):
    return "".join(LETTERS[i - 2] for i in row.tolist() if i >= 2)


losses = []
for it in range(1, 501):
    losses.append(train_step(*get_batch(64)))
    if it % 100 == 0:
        print("iter %d loss %.4f" % (it, np.mean(losses[-100:])))

src, tgt = get_batch(400)
guess = decipher(src)
for i in range(3):
    print(show(src[i]), "->", show(guess[i]), "should be", show(tgt[i]))
letters = (guess[:, :LENGTH] == tgt[:, :LENGTH]).float().mean().item()
print("letters deciphered: %.4f" % letters)
