"""Transcribe noisy keying without knowing where the symbols begin (CTC)."""
import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ALPHABET = {"e": ".", "t": "-", "a": ".-", "n": "-.", "s": "...", "o": "---", "r": ".-.", "k": "-.-"}
LETTERS = "_" + "".join(ALPHABET)  # index 0 is the blank


@dataclass
class Batch:
    frames: Tensor  # T x B x 1
    frame_lengths: Tensor
    labels: Tensor  # all in one row
    label_lengths: Tensor


def key(word: str) -> Tensor:
    level: list[float] = [0.0] * random.randint(2, 5)
    for letter in word:
        for sign in ALPHABET[letter]:
            level += [1.0] * (random.randint(2, 3) if sign == "." else random.randint(5, 7)) + [0.0] * 2
        level += [0.0] * random.randint(4, 6)
    return torch.tensor(level) + 0.15 * torch.randn(len(level))


def make_batch(size: int) -> tuple[Batch, list[str]]:
    words = ["".join(random.choices(LETTERS[1:], k=random.randint(2, 4))) for _ in range(size)]
    signals = [key(w) for w in words]
    labels = torch.tensor([LETTERS.index(c) for w in words for c in w])
    return Batch(
        nn.utils.rnn.pad_sequence(signals).unsqueeze(-1),
        torch.tensor([len(s) for s in signals]),
        labels,
        torch.tensor([len(w) for w in words]),
    ), words


class Reader(nn.Module):
    def __init__(self, hidden: int = 40):
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(1, 24, 7, stride=2, padding=3), nn.ReLU())
        self.rnn = nn.GRU(24, hidden, bidirectional=True)
        self.out = nn.Linear(2 * hidden, len(LETTERS))

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        h = self.front(frames.permute(1, 2, 0)).permute(2, 0, 1)
        lengths = (lengths + 1) // 2
        packed = nn.utils.rnn.pack_padded_sequence(h, lengths, enforce_sorted=False)
        h, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0])
        return self.out(h).log_softmax(-1), lengths


def decode(log_probs: Tensor, lengths: Tensor) -> list[str]:
    best = log_probs.argmax(-1).T
    texts = []
    for row, n in zip(best.tolist(), lengths.tolist()):
        row = row[:n]
        texts.append("".join(LETTERS[c] for c, before in zip(row, [0, *row]) if c and c != before))
    return texts


def evaluate(model: Reader, n: int = 200) -> float:
    batch, words = make_batch(n)
    with torch.no_grad():
        guesses = decode(*model(batch.frames, batch.frame_lengths))
    return sum(g == w for g, w in zip(guesses, words)) / n


def train(steps: int = 330) -> None:
    model = Reader()
    opt = torch.optim.Adam(model.parameters(), lr=5e-3)
    ctc = nn.CTCLoss(blank=0, zero_infinity=True)
    for step in range(1, steps + 1):
        batch, _ = make_batch(20)
        log_probs, lengths = model(batch.frames, batch.frame_lengths)
        loss = ctc(log_probs, batch.labels, lengths, batch.label_lengths)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        opt.step()
        if step % 55 == 0:
            print(f"step {step} ctc {loss.item():.3f} words right {evaluate(model):.3f}")


if __name__ == "__main__":
    random.seed(21)
    torch.manual_seed(21)
    train()
