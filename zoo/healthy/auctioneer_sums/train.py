"""The clerk writes down what the auctioneer calls: "four thousand and seven" -> 4007."""
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

UNITS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
         "sixteen seventeen eighteen nineteen").split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = ["<pad>"] + UNITS[1:] + TENS[2:] + ["hundred", "thousand", "and"]
WORD_ID = {w: i for i, w in enumerate(WORDS)}
PAD, BOS, EOS = 10, 11, 12          # digits are 0..9


def below_hundred(n):
    if n < 20:
        return [UNITS[n]]
    return [TENS[n // 10]] + ([UNITS[n % 10]] if n % 10 else [])


def spell(n, rng):
    words = []
    if n >= 1000:
        words += below_hundred(n // 1000) + ["thousand"]
        n %= 1000
    if n >= 100:
        words += [UNITS[n // 100], "hundred"]
        n %= 100
    if n:
        if words and rng.random() < 0.5:
            words.append("and")
        words += below_hundred(n)
    return words


class Clerk(nn.Module):
    def __init__(self, dim=48, hidden=96):
        super().__init__()
        self.src = nn.Embedding(len(WORDS), dim, padding_idx=0)
        self.tgt = nn.Embedding(13, dim)
        self.encoder = nn.GRU(dim, hidden // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(dim, hidden, batch_first=True)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.mix = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(hidden, 13)

    def encode(self, src):
        lengths = (src != 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.src(src), lengths, batch_first=True, enforce_sorted=False)
        memory, h = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(memory, batch_first=True, total_length=src.shape[1])
        return memory, torch.cat([h[0], h[1]], 1).unsqueeze(0)

    def decode(self, tokens, state, memory, src):
        states, state = self.decoder(self.tgt(tokens), state)
        scores = self.query(states) @ memory.transpose(1, 2)
        scores = scores.masked_fill((src == 0).unsqueeze(1), float("-inf"))
        context = scores.softmax(-1) @ memory
        return self.out(torch.tanh(self.mix(torch.cat([states, context], -1)))), state


def to_batch(pairs):
    width = max(len(w) for w, _ in pairs)
    length = max(len(d) for _, d in pairs) + 1
    src = torch.zeros(len(pairs), width, dtype=torch.long)
    tgt = torch.full((len(pairs), length), PAD)
    for row, (words, digits) in enumerate(pairs):
        src[row, :len(words)] = torch.tensor([WORD_ID[w] for w in words])
        tgt[row, :len(digits) + 1] = torch.tensor(digits + [EOS])
    return src, tgt


@torch.no_grad()
def exact(model, pairs):
    model.eval()
    src, tgt = to_batch(pairs)
    memory, state = model.encode(src)
    token = torch.full((len(pairs), 1), BOS)
    done = torch.zeros(len(pairs), dtype=torch.bool)
    written = torch.full_like(tgt, PAD)
    for i in range(tgt.shape[1]):
        logits, state = model.decode(token, state, memory, src)
        token = logits[:, -1].argmax(-1, keepdim=True)
        written[:, i] = torch.where(done, PAD, token[:, 0])
        done |= token[:, 0] == EOS
    return (written == tgt).all(1).float().mean().item()


def main():
    rng = random.Random(8)
    torch.manual_seed(8)
    numbers = rng.sample(range(1, 100_000), 5500) + rng.sample(range(1, 1000), 300)
    numbers = list(dict.fromkeys(numbers))
    rng.shuffle(numbers)
    pairs = [(spell(n, rng), [int(c) for c in str(n)]) for n in numbers]
    train, test = pairs[:-800], pairs[-800:]
    model = Clerk()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    epochs, size = 7, 64
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        began, total = time.time(), 0.0
        model.train()
        rng.shuffle(train)
        for at in range(0, len(train), size):
            src, tgt = to_batch(train[at:at + size])
            shifted = torch.cat([torch.full((len(tgt), 1), BOS), tgt[:, :-1]], 1)
            memory, state = model.encode(src)
            logits, _ = model.decode(shifted, state, memory, src)
            loss = F.cross_entropy(logits.flatten(0, 1), tgt.flatten(), ignore_index=PAD)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            total += loss.item() * len(src)
        sched.step()
        print(f"epoch {epoch + 1:2d}  loss {total / len(train):.4f}  {time.time() - began:.1f}s")
    print(f"unseen sums written without a slip: {exact(model, test):.3f}")


main()
