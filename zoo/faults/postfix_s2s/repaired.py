"""Rewrite sums in infix order ("b+a*c") as postfix ("bac*+") with an encoder-decoder."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

PAD, BOS, EOS = 0, 1, 2
SYMBOLS = "abcd+*"
INDEX = {s: i + 3 for i, s in enumerate(SYMBOLS)}
VOCAB = len(SYMBOLS) + 3


def expression(rng):
    n = rng.choice([2, 3, 3])
    text = rng.choice("abcd")
    for _ in range(n - 1):
        text += rng.choice("+*") + rng.choice("abcd")
    return text


def postfix(text):
    out, stack = [], []
    for s in text:
        if s in "abcd":
            out.append(s)
            continue
        while stack and (stack[-1] == "*" or s == "+"):
            out.append(stack.pop())
        stack.append(s)
    return "".join(out + stack[::-1])


def encode(text):
    return [INDEX[s] for s in text]


def make_batch(rng, size):
    pairs = [(t, postfix(t)) for t in (expression(rng) for _ in range(size))]
    width = max(len(t) for t, _ in pairs)
    src = torch.tensor([encode(t) + [PAD] * (width - len(t)) for t, _ in pairs])
    tgt = torch.tensor([[BOS] + encode(p) + [EOS] + [PAD] * (width - len(p)) for _, p in pairs])
    return src, tgt


class Translator(nn.Module):
    def __init__(self, dim=32, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, dim, padding_idx=PAD)
        self.encoder = nn.GRU(dim, hidden, batch_first=True)
        self.decoder = nn.GRU(dim, hidden, batch_first=True)
        self.out = nn.Linear(hidden, VOCAB)

    def encode(self, src):
        lengths = (src != PAD).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(src), lengths, batch_first=True, enforce_sorted=False)
        return self.encoder(packed)[1]

    def forward(self, src, tgt_in):
        states, _ = self.decoder(self.embed(tgt_in), self.encode(src))
        return self.out(states)

    @torch.no_grad()
    def translate(self, src, max_len=7):
        h = self.encode(src)
        token = torch.full((len(src), 1), BOS)
        written = []
        for _ in range(max_len):
            states, h = self.decoder(self.embed(token), h)
            token = self.out(states).argmax(-1)
            written.append(token)
        return torch.cat(written, 1)


def exact_match(model, src, tgt):
    guess = model.translate(src, tgt.size(1) - 1)
    gold = tgt[:, 1:]
    return ((guess == gold) | (gold == PAD)).all(1).float().mean().item()


rng = random.Random(18)
torch.manual_seed(18)
model = Translator()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=8e-3, total_steps=240)
exam = make_batch(rng, 200)
for step in range(1, 241):
    src, tgt = make_batch(rng, 48)
    tgt_in, tgt_out = tgt[:, :-1], tgt[:, 1:]
    logits = model(src, tgt_in)
    loss = F.cross_entropy(logits.reshape(-1, VOCAB), tgt_out.reshape(-1), ignore_index=PAD)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    if step % 40 == 0:
        print(f"{step:4d} loss {loss.item():.4f} exact {exact_match(model, *exam):.3f}")
