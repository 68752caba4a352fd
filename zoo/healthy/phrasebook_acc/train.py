"""Numbers in words to digits, with gradient accumulation over buckets of unequal length."""
from __future__ import annotations

import random
from typing import Iterator

import torch
from torch import Tensor, nn

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CHARS = "_" + "abcdefghijklmnopqrstuvwxyz "
PAD, BOS, EOS = 10, 11, 12
IGNORE = -100


def sample(rng: random.Random) -> tuple[list[int], list[int]]:
    digits = [rng.randrange(10) for _ in range(rng.randint(1, 4))]
    text = " ".join(WORDS[d] for d in digits)
    return [CHARS.index(c) for c in text], [*digits, EOS]


def buckets(rng: random.Random, n: int, size: int) -> Iterator[list[tuple[list[int], list[int]]]]:
    rows = sorted((sample(rng) for _ in range(n)), key=lambda r: len(r[0]))
    cut = [rows[i : i + size] for i in range(0, n, size)]
    rng.shuffle(cut)
    yield from cut


def collate(rows: list[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    source = nn.utils.rnn.pad_sequence([torch.tensor(s) for s, _ in rows], batch_first=True)
    target = nn.utils.rnn.pad_sequence([torch.tensor(t) for _, t in rows], batch_first=True, padding_value=IGNORE)
    given = torch.cat([torch.full((len(rows), 1), BOS), target[:, :-1]], 1)
    return source, given.masked_fill(given == IGNORE, PAD), target


class Speller(nn.Module):
    def __init__(self, d: int = 48):
        super().__init__()
        self.chars = nn.Embedding(len(CHARS), d, padding_idx=0)
        self.digits = nn.Embedding(13, d, padding_idx=PAD)
        self.enc = nn.GRU(d, d, batch_first=True)
        self.dec = nn.GRU(d, d, batch_first=True)
        self.att = nn.Linear(d, d, bias=False)
        self.out = nn.Linear(2 * d, 13)

    def forward(self, source: Tensor, given: Tensor) -> Tensor:
        lengths = (source != 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.chars(source), lengths, batch_first=True, enforce_sorted=False)
        memory, state = self.enc(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(memory, batch_first=True)
        h, _ = self.dec(self.digits(given), state)
        scores = self.att(h) @ memory.transpose(1, 2)
        scores = scores.masked_fill((source == 0)[:, None], float("-inf"))
        return self.out(torch.cat([h, scores.softmax(-1) @ memory], -1))


def exact(model: Speller, rng: random.Random) -> float:
    model.eval()
    right = 0
    with torch.no_grad():
        for _ in range(3):
            rows = [sample(rng) for _ in range(60)]
            source, _, target = collate(rows)
            given = torch.full((len(rows), 1), BOS)
            for _ in range(target.shape[1]):
                given = torch.cat([given, model(source, given)[:, -1:].argmax(-1)], 1)
            right += ((given[:, 1:] == target) | (target == IGNORE)).all(1).sum().item()
    model.train()
    return right / 180


def main(epochs: int = 8, micro: int = 16, accumulate: int = 4) -> None:
    rng = random.Random(40)
    model = Speller()
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    criterion = nn.CrossEntropyLoss(ignore_index=IGNORE, reduction="sum")
    for epoch in range(epochs):
        tokens, nats, all_nats, all_tokens = 0, 0.0, 0.0, 0
        pieces = list(buckets(rng, 24 * micro * accumulate + 2 * micro, micro))
        for i, rows in enumerate(pieces, 1):
            source, given, target = collate(rows)
            loss = criterion(model(source, given).transpose(1, 2), target)
            loss.backward()
            tokens += int((target != IGNORE).sum())
            nats += loss.item()
            if i % accumulate == 0 or i == len(pieces):
                for p in model.parameters():
                    p.grad.div_(tokens)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                all_nats, all_tokens, tokens, nats = all_nats + nats, all_tokens + tokens, 0, 0.0
        print(f"epoch {epoch + 1} nats per digit {all_nats / all_tokens:.3f} all digits right {exact(model, rng):.3f}")


if __name__ == "__main__":
    torch.manual_seed(40)
    main()
