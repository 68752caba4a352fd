"""Secret messages of the scouts: every word is written backwards and each letter is shifted.
An encoder-decoder (GRU) that should read them. Based on a word language model that I had before."""
import os
import random
from typing import Tuple

import numpy as np
import torch
from torch import Tensor, nn
import torch.nn.functional as F

LETTERS = "abcdefghijkl"
SOS = len(LETTERS)
WORD_LEN = 7


def repackage_hidden(h):
    """hidden states for the next call"""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def make_words(n: int, rng: np.random.RandomState) -> Tuple[Tensor, Tensor]:
    plain = rng.randint(0, len(LETTERS), (n, WORD_LEN))
    secret = (plain[:, ::-1] + 3) % len(LETTERS)
    return torch.tensor(secret.copy()), torch.tensor(plain)


class Encoder(nn.Module):
    def __init__(self, emb: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)

    def forward(self, src: Tensor) -> Tensor:
        _, hidden = self.gru(self.embedding(src))
        return hidden


class Decoder(nn.Module):
    def __init__(self, emb: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS) + 1, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.out = nn.Linear(hidden, len(LETTERS))

    def forward(self, inp: Tensor, hidden: Tensor) -> Tuple[Tensor, Tensor]:
        o, hidden = self.gru(self.embedding(inp), hidden)
        return self.out(o), hidden


class Seq2Seq(nn.Module):
    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, src: Tensor, trg: Tensor) -> Tensor:
        hidden = self.encoder(src)
        start = torch.full((len(src), 1), SOS, dtype=torch.long)
        inp = torch.cat([start, trg[:, :-1]], dim=1)
        logits, _ = self.decoder(inp, hidden)
        return logits

    @torch.no_grad()
    def translate(self, src: Tensor) -> Tensor:
        hidden = self.encoder(src)
        tok = torch.full((len(src), 1), SOS, dtype=torch.long)
        words = []
        for _ in range(WORD_LEN):
            logits, hidden = self.decoder(tok, hidden)
            tok = logits.argmax(-1)
            words.append(tok)
        return torch.cat(words, dim=1)


class Trainer:
    def __init__(self, model: Seq2Seq, train, test, lr: float = 5e-3, batch_size: int = 64) -> None:
        self.model = model
        self.train_x, self.train_y = train
        self.test_x, self.test_y = test
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.StepLR(self.opt, step_size=8, gamma=0.5)
        self.batch_size = batch_size

    def epoch(self) -> float:
        self.model.train()
        order = torch.randperm(len(self.train_x))
        losses = []
        for idx in order.split(self.batch_size):
            src, trg = self.train_x[idx], self.train_y[idx]
            logits = self.model(src, trg)
            loss = F.cross_entropy(logits.reshape(-1, len(LETTERS)), trg.reshape(-1))
            self.opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.opt.step()
            losses.append(loss.item())
        self.sched.step()
        return float(np.mean(losses))

    def letter_accuracy(self) -> float:
        self.model.eval()
        return (self.model.translate(self.test_x) == self.test_y).float().mean().item()

    def run(self, epochs: int) -> None:
        for e in range(epochs):
            loss = self.epoch()
            if e % 3 == 2:
                print(f"epoch {e + 1:2d} loss {loss:.3f} letters right {self.letter_accuracy():.3f}")


def show(ids: Tensor) -> str:
    return "".join(LETTERS[i] for i in ids.tolist())


if __name__ == "__main__":
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.RandomState(seed)
    train, test = make_words(3200, rng), make_words(500, rng)
    model = Seq2Seq(Encoder(16, 48), Decoder(16, 48))
    trainer = Trainer(model, train, test)
    trainer.run(12)
    guess = model.translate(test[0][:3])
    for s, g, t in zip(test[0][:3], guess, test[1][:3]):
        print(show(s), "->", show(g), "should be", show(t))
    print(f"final letter accuracy {trainer.letter_accuracy():.4f}")
