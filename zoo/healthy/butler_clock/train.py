"""Spoken times to clock times: 'ten to eight in the evening' -> '19:50', words in, digits out."""
import math
import random

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence

PAD, BOS, EOS = 0, 1, 2
NUMBERS = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
           "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
WORDS = NUMBERS[1:] + "past to half quarter o clock at night in the morning afternoon evening".split()
WORD_ID = {w: i + 3 for i, w in enumerate(WORDS)}
SIGN_ID = {c: i + 3 for i, c in enumerate("0123456789:")}


def number(n):
    return NUMBERS[n] if n <= 20 else f"twenty {NUMBERS[n - 20]}"


def spoken(hour, minute, rng):
    part = "at night" if hour < 5 else "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
    if hour >= 22:
        part = "at night"

    def name(h):
        return NUMBERS[(h - 1) % 12 + 1]

    if minute == 0:
        core = f"{name(hour)} o clock"
    elif minute == 30:
        core = f"half past {name(hour)}"
    elif minute < 30:
        core = f"{'quarter' if minute == 15 else number(minute)} past {name(hour)}"
    else:
        core = f"{'quarter' if minute == 45 else number(60 - minute)} to {name(hour + 1)}"
    return f"{core} {part}" if rng.random() < 0.5 else f"{part} {core}"


def encode(items, table):
    return torch.tensor([BOS] + [table[i] for i in items] + [EOS])


class Clerk(nn.Module):
    def __init__(self, width=64, max_len=16):
        super().__init__()
        self.width = width
        self.words = nn.Embedding(len(WORDS) + 3, width, padding_idx=PAD)
        self.signs = nn.Embedding(len(SIGN_ID) + 3, width, padding_idx=PAD)
        self.place = nn.Embedding(max_len, width)
        self.net = nn.Transformer(width, 4, 2, 2, 128, dropout=0.05, batch_first=True)
        self.out = nn.Linear(width, len(SIGN_ID) + 3)

    def lift(self, table, ids):
        return table(ids) + self.place(torch.arange(ids.shape[1]))

    def forward(self, src, tgt):
        causal = torch.triu(torch.ones(tgt.shape[1], tgt.shape[1], dtype=torch.bool), diagonal=1)
        h = self.net(self.lift(self.words, src), self.lift(self.signs, tgt), tgt_mask=causal, src_key_padding_mask=src == PAD,
                     tgt_key_padding_mask=tgt == PAD, memory_key_padding_mask=src == PAD)
        return self.out(h)


@torch.no_grad()
def greedy(model, src, steps=6):
    model.eval()
    out = torch.full((len(src), 1), BOS)
    for _ in range(steps):
        nxt = model(src, out)[:, -1].argmax(-1, keepdim=True)
        out = torch.cat([out, nxt], dim=1)
    return out


def exact(model, pairs):
    src = pad_sequence([s for s, _ in pairs], batch_first=True)
    gold = torch.stack([t for _, t in pairs])
    return (greedy(model, src) == gold).all(dim=1).float().mean().item()


def lr_factor(step, warmup, total):
    if step < warmup:
        return (step + 1) / warmup
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def main():
    torch.manual_seed(17)
    rng = random.Random(17)
    moments = [(h, m) for h in range(24) for m in range(60)]
    rng.shuffle(moments)
    pairs = [(encode(spoken(h, m, rng).split(), WORD_ID), encode(f"{h:02d}:{m:02d}", SIGN_ID)) for h, m in moments]
    train, val, test = pairs[:1140], pairs[1140:1240], pairs[1240:]
    model = Clerk()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    epochs, batch = 24, 64
    total = epochs * math.ceil(len(train) / batch)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: lr_factor(s, 60, total))
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.05)
    for epoch in range(epochs):
        model.train()
        rng.shuffle(train)
        total_loss = 0.0
        for i in range(0, len(train), batch):
            chunk = train[i:i + batch]
            src = pad_sequence([s for s, _ in chunk], batch_first=True, padding_value=PAD)
            tgt = pad_sequence([t for _, t in chunk], batch_first=True, padding_value=PAD)
            logits = model(src, tgt[:, :-1])
            loss = criterion(logits.flatten(0, 1), tgt[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            total_loss += loss.item() * len(chunk)
        if epoch % 4 == 3:
            print(f"epoch {epoch + 1}: loss {total_loss / len(train):.4f}, val exact {exact(model, val):.3f}")
    print(f"exact clock times on unseen moments: {exact(model, test):.3f}")


if __name__ == "__main__":
    main()
