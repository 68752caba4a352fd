from __future__ import annotations

import random

import torch
from torch import Tensor, nn

FIRST = "ada karl mira otto lena juri nora emil".split()
LAST = "stone baker rivers field marsh wood".split()
PLACES = "harbour bridge market field wood marsh station".split()
VERBS = "met saw called left painted".split()
FILL = "yesterday again today often never".split()
VOCAB = ["<pad>", *sorted({*FIRST, *LAST, *PLACES, *VERBS, *FILL, "the", "old", "near", "of", "and"})]
ID = {w: i for i, w in enumerate(VOCAB)}
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def person() -> list[tuple[str, int]]:
    words = [(random.choice(FIRST), 1)]
    if random.random() < 0.7:
        words.append((random.choice(LAST), 2))
    return words


def place() -> list[tuple[str, int]]:
    old = [("old", 4)] if random.random() < 0.4 else []
    return [("the", 3), *old, (random.choice(PLACES), 4)]


def sentence() -> list[tuple[str, int]]:
    out = person()
    if random.random() < 0.3:
        out += [("and", 0), *person()]
    out += [(random.choice(VERBS), 0), *(place() if random.random() < 0.5 else person())]
    if random.random() < 0.5:
        # a thing called like a place, which it is not when "of" comes after it
        out += [("near", 0), ("the", 0), (random.choice(PLACES), 0), ("of", 0), *person()]
    elif random.random() < 0.5:
        out += [("near", 0), *place()]
    return out + [(random.choice(FILL), 0)] * (random.random() < 0.6)


def batch(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Words, tags and mask; time comes first."""
    texts = [sentence() for _ in range(size)]
    width = max(map(len, texts))
    words, tags = torch.zeros(width, size, dtype=torch.long), torch.zeros(width, size, dtype=torch.long)
    for col, text in enumerate(texts):
        words[: len(text), col] = torch.tensor([ID[w] for w, _ in text])
        tags[: len(text), col] = torch.tensor([t for _, t in text])
    return words, tags, words != 0


class CRF(nn.Module):
    def __init__(self, n: int):
        super().__init__()
        self.start, self.end = nn.Parameter(torch.zeros(n)), nn.Parameter(torch.zeros(n))
        self.move = nn.Parameter(torch.zeros(n, n))

    def gold_score(self, emit: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        picked = emit.gather(2, tags[:, :, None]).squeeze(2) * mask
        moves = self.move[tags[:-1], tags[1:]] * mask[1:]
        last = tags.gather(0, mask.sum(0, keepdim=True) - 1).squeeze(0)
        return self.start[tags[0]] + picked.sum(0) + moves.sum(0) + self.end[last]

    def log_partition(self, emit: Tensor, mask: Tensor) -> Tensor:
        alpha = self.start + emit[0]
        for e, m in zip(emit[1:], mask[1:]):
            ahead = torch.logsumexp(alpha[:, :, None] + self.move, dim=1) + e
            alpha = torch.where(m[:, None], ahead, alpha)
        return torch.logsumexp(alpha + self.end, dim=1)

    def decode(self, emit: Tensor, mask: Tensor) -> list[list[int]]:
        best, back = self.start + emit[0], []
        for e, m in zip(emit[1:], mask[1:]):
            score, origin = (best[:, :, None] + self.move).max(1)
            best = torch.where(m[:, None], score + e, best)
            back.append(torch.where(m[:, None], origin, torch.arange(emit.size(2))))
        tag = (best + self.end).argmax(1)
        path = [tag]
        for origin in reversed(back):
            tag = origin.gather(1, tag[:, None]).squeeze(1)
            path.append(tag)
        return [row[:n] for row, n in zip(torch.stack(path[::-1], 1).tolist(), mask.sum(0).tolist())]


class Tagger(nn.Module):
    def __init__(self, dim: int = 24, hidden: int = 24):
        super().__init__()
        self.embed = nn.Embedding(len(VOCAB), dim, padding_idx=0)
        self.rnn = nn.LSTM(dim, hidden, bidirectional=True)
        self.emit = nn.Linear(2 * hidden, len(TAGS))
        self.crf = CRF(len(TAGS))

    def emissions(self, words: Tensor) -> Tensor:
        lengths = (words != 0).sum(0)
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(words), lengths, enforce_sorted=False)
        return self.emit(nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0])[0])

    def forward(self, words: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        emit = self.emissions(words)
        return (self.crf.log_partition(emit, mask) - self.crf.gold_score(emit, tags, mask)).mean()


class Session:
    def __init__(self, seed: int):
        random.seed(seed)
        self.tagger = Tagger()
        self.optimizer = torch.optim.Adam(self.tagger.parameters(), lr=0.01)
        self.held_out = batch(250)

    def learn(self, steps: int) -> None:
        for step in range(1, steps + 1):
            loss = self.tagger(*batch(24))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            if step % 60 == 0:
                print(f"step {step}: nll {loss.item():.3f}, whole sentences right {self.exact():.3f}")

    @torch.inference_mode()
    def exact(self) -> float:
        words, tags, mask = self.held_out
        paths = self.tagger.crf.decode(self.tagger.emissions(words), mask)
        return sum(p == t[: len(p)] for p, t in zip(paths, tags.T.tolist())) / len(paths)


if __name__ == "__main__":
    torch.manual_seed(44)
    Session(44).learn(240)
