"""Seq2seq with attention: from an amount like 17.85 to the notes and coins to hand out.

Teacher forcing is decided batch by batch and becomes rarer over the epochs.
"""
import os
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
PIECES = [5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1]
PAD, BOS, EOS = 0, 1, 2
OUT_VOCAB, MAX_OUT = 3 + len(PIECES), 13


def change(cents):
    out = []
    for i, piece in enumerate(PIECES):
        while cents >= piece:
            out.append(3 + i)
            cents -= piece
    return out + [EOS]


def encode(amounts):
    source = torch.tensor([[int(c) for c in f"{a:04d}"] for a in amounts])
    target = torch.full((len(amounts), MAX_OUT), PAD)
    for row, a in enumerate(amounts):
        coins = change(a)
        target[row, :len(coins)] = torch.tensor(coins)
    return source, target


class Encoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.embed = nn.Embedding(10, dim)
        self.gru = nn.GRU(dim, dim // 2, batch_first=True, bidirectional=True)

    def forward(self, source):
        states, h = self.gru(self.embed(source))
        return states, torch.cat([h[0], h[1]], 1)


class Decoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.embed = nn.Embedding(OUT_VOCAB, dim)
        self.cell = nn.GRUCell(2 * dim, dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(2 * dim, OUT_VOCAB)

    def forward(self, token, h, states):
        weights = torch.softmax((states @ self.query(h).unsqueeze(2)).squeeze(2), dim=1)
        context = (weights.unsqueeze(1) @ states).squeeze(1)
        h = self.cell(torch.cat([self.embed(token), context], 1), h)
        return self.out(torch.cat([h, context], 1)), h


class Seq2Seq(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.encoder, self.decoder = Encoder(dim), Decoder(dim)

    def forward(self, source, target=None, forced=False):
        states, h = self.encoder(source)
        token = torch.full((len(source),), BOS)
        logits = []
        for t in range(MAX_OUT):
            step, h = self.decoder(token, h, states)
            logits.append(step)
            token = target[:, t] if forced else step.detach().argmax(1)
        return torch.stack(logits, 1)


@torch.no_grad()
def exact(model, source, target):
    model.eval()
    guess = model(source).argmax(2)
    real = target != PAD
    return ((guess == target) | ~real).all(1).float().mean().item()


def main():
    random.seed(SEED)
    torch.manual_seed(SEED)
    amounts = random.sample(range(1, 10000), 8000)
    source, target = encode(amounts)
    train, valid, test = slice(0, 5000), slice(5000, 6000), slice(6000, 8000)
    model = Seq2Seq()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    epochs = 8
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=1e-4)
    for epoch in range(epochs):
        model.train()
        ratio = 1.0 - 0.5 * epoch / (epochs - 1)
        total, batches = 0.0, 0
        for idx in torch.randperm(5000).split(100):
            forced = random.random() < ratio
            logits = model(source[train][idx], target[train][idx], forced)
            loss = F.cross_entropy(logits.flatten(0, 1), target[train][idx].flatten(), ignore_index=PAD)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total, batches = total + loss.item(), batches + 1
        scheduler.step()
        print(f"epoch {epoch + 1:2d}  teacher {ratio:.2f}  loss {total / batches:.4f}  "
              f"valid exact {exact(model, source[valid], target[valid]):.3f}")
    print(f"test: exact change for {exact(model, source[test], target[test]):.4f} of unseen amounts")


if __name__ == "__main__":
    main()
