"""Semaphore messages: four flag positions, seen from behind, become the letters in the order in which they were sent."""
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

FLAGS, LENGTH, BOS = 10, 4, 10
mirror = torch.randperm(FLAGS)


def messages(n):
    src = torch.randint(0, FLAGS, (n, LENGTH))
    return src, mirror[src.flip(1)]


class Encoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.emb = nn.Embedding(FLAGS, 24)
        self.rnn = nn.GRU(24, hidden, batch_first=True)

    def forward(self, src):
        _, h = self.rnn(self.emb(src))
        return h


class Decoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.emb = nn.Embedding(FLAGS + 1, 24)
        self.rnn = nn.GRU(24, hidden, batch_first=True)
        self.out = nn.Linear(hidden, FLAGS)

    def forward(self, tokens, h):
        y, h = self.rnn(self.emb(tokens), h)
        return self.out(y), h


class Translator(nn.Module):
    def __init__(self, hidden=96):
        super().__init__()
        self.encoder = Encoder(hidden)
        self.decoder = Decoder(hidden)

    def forward(self, src, tgt):
        bos = torch.full((len(src), 1), BOS)
        logits, _ = self.decoder(torch.cat([bos, tgt[:, :-1]], 1), self.encoder(src))
        return logits

    @torch.no_grad()
    def translate(self, src):
        h = self.encoder(src)
        token = torch.full((len(src), 1), BOS)
        result = []
        for _ in range(LENGTH):
            logits, h = self.decoder(token, h)
            token = logits[:, -1:].argmax(-1)
            result.append(token)
        return torch.cat(result, 1)


src, tgt = messages(6000)
val_src, val_tgt = messages(500)
net = Translator()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
steps = 500
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 30) * (1 - s / steps))
for step in range(steps):
    net.train()
    idx = torch.randint(0, len(src), (100,))
    logits = net(src[idx], tgt[idx])
    loss = F.cross_entropy(logits.flatten(0, 1), tgt[idx].flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    sched.step()
    if step % 100 == 99:
        net.eval()
        with torch.no_grad():
            val_loss = F.cross_entropy(net(val_src, val_tgt).flatten(0, 1), val_tgt.flatten()).item()
        letters = (net.translate(val_src) == val_tgt).float().mean().item()
        print(f"step {step + 1} loss {loss.item():.4f} val loss {val_loss:.4f} letters {letters:.4f}")

net.eval()
out = net.translate(val_src)
print(f"whole messages {(out == val_tgt).all(1).float().mean().item():.4f}")
print(f"letters right {(out == val_tgt).float().mean().item():.4f}")
