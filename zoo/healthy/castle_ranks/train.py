"""Unfold one rank of a chess position from compact notation ("r2qk3") to its eight squares ("r..qk...")."""
import math
import random

import torch
from torch import nn
from torch.nn import functional as F

PIECES = "pnbrqkPNBRQK"
SYMBOLS = ["<pad>", "<bos>", "<eos>", "."] + list(PIECES) + list("12345678")
CODE = {s: i for i, s in enumerate(SYMBOLS)}
PAD, BOS, EOS = 0, 1, 2


def fold(rank):
    out, run = "", 0
    for square in rank + "|":
        if square == ".":
            run += 1
            continue
        out += (str(run) if run else "") + square
        run = 0
    return out[:-1]


def make_ranks(count, seed):
    rng, seen = random.Random(seed), set()
    while len(seen) < count:
        empty = rng.uniform(0.2, 0.8)
        seen.add("".join("." if rng.random() < empty else rng.choice(PIECES) for _ in range(8)))
    ranks = sorted(seen)
    rng.shuffle(ranks)
    return ranks


def encode(ranks):
    src = torch.full((len(ranks), 9), PAD)
    for i, rank in enumerate(ranks):
        ids = [CODE[c] for c in fold(rank)] + [EOS]
        src[i, :len(ids)] = torch.tensor(ids)
    tgt = torch.tensor([[BOS] + [CODE[c] for c in rank] + [EOS] for rank in ranks])
    return src, tgt


class Unfolder(nn.Module):
    def __init__(self, d=64, heads=4, layers=1):
        super().__init__()
        self.embed = nn.Embedding(len(SYMBOLS), d)
        self.src_pos = nn.Parameter(torch.randn(9, d) * 0.1)
        self.tgt_pos = nn.Parameter(torch.randn(10, d) * 0.1)
        nn.init.normal_(self.embed.weight, std=d ** -0.5)
        self.scale = math.sqrt(d)
        enc = nn.TransformerEncoderLayer(d, heads, 2 * d, 0.0, batch_first=True, norm_first=True)
        dec = nn.TransformerDecoderLayer(d, heads, 2 * d, 0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(enc, layers, nn.LayerNorm(d), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(dec, layers, nn.LayerNorm(d))

    def read(self, src):
        blank = src == PAD
        return self.encoder(self.embed(src) * self.scale + self.src_pos, src_key_padding_mask=blank), blank

    def write(self, memory, blank, tgt):
        length = tgt.shape[1]
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        h = self.decoder(self.embed(tgt) * self.scale + self.tgt_pos[:length], memory,
                         tgt_mask=future, memory_key_padding_mask=blank)
        return h @ self.embed.weight.T

    @torch.no_grad()
    def unfold(self, src, limit=9):
        memory, blank = self.read(src)
        out = torch.full((len(src), 1), BOS)
        for _ in range(limit):
            out = torch.cat([out, self.write(memory, blank, out)[:, -1:].argmax(-1)], 1)
        return out


def make_training(model, steps, peak=3e-3, warmup=80):
    opt = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.01)

    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))

    sched = torch.optim.lr_scheduler.LambdaLR(opt, factor)

    def step(src, tgt):
        model.train()
        memory, blank = model.read(src)
        logits = model.write(memory, blank, tgt[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tgt[:, 1:].flatten())
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        return loss.item()

    def exact(src, tgt):
        model.eval()
        return (model.unfold(src) == tgt).all(1).float().mean().item()

    return step, exact


def main():
    torch.manual_seed(8)
    src, tgt = encode(make_ranks(7000, seed=8))
    parts = {"train": slice(0, 6000), "val": slice(6000, 6400), "test": slice(6400, 7000)}
    epochs, batch = 10, 96
    train_src, train_tgt = src[parts["train"]], tgt[parts["train"]]
    per_epoch = len(train_src) // batch
    model = Unfolder()
    step, exact = make_training(model, epochs * per_epoch)
    for epoch in range(epochs):
        order = torch.randperm(len(train_src))
        losses = [step(train_src[i], train_tgt[i]) for i in order[:per_epoch * batch].split(batch)]
        print(f"epoch {epoch:2d}  loss {sum(losses) / len(losses):.4f}  "
              f"val exact {exact(src[parts['val']], tgt[parts['val']]):.3f}")
    shown = model.unfold(src[6400:6403])
    for source, row in zip(src[6400:6403], shown):
        print("  ", "".join(SYMBOLS[i] for i in source if i > EOS), "->", "".join(SYMBOLS[i] for i in row if i > EOS))
    print(f"test exact match {exact(src[parts['test']], tgt[parts['test']]):.3f}")


if __name__ == "__main__":
    main()
