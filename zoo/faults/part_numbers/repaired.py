"""Old part numbers of a workshop to the new scheme: letters become their new codes and the order is reversed."""
import os
import random
import string

import numpy as np
import torch
import torch.nn as nn

SEED = int(os.environ.get("SEED", "0"))
PAD, SOS, EOS = 0, 1, 2
LETTERS = string.ascii_uppercase[:10]
NEW = "3817496025"


class Encoder(nn.Module):
    def __init__(self, vocab, emb, hidden):
        super().__init__()
        self.embedding = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)

    def forward(self, src):
        _, hidden = self.gru(self.embedding(src))
        return hidden


class Decoder(nn.Module):
    def __init__(self, vocab, emb, hidden):
        super().__init__()
        self.embedding = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, token, hidden):
        output, hidden = self.gru(self.embedding(token), hidden)
        return self.out(output), hidden


def repackage(hidden):
    """Wrap the hidden state in a new tensor, so that every sequence starts with a clean history."""
    return hidden.detach()


def make_pairs(n, rng, length=7):
    src = torch.from_numpy(rng.integers(0, len(LETTERS), (n, length)))
    table = torch.tensor([int(d) for d in NEW])
    tgt = table[src].flip(1)
    src, tgt = src + 3, tgt + 3
    start = torch.full((n, 1), SOS)
    end = torch.full((n, 1), EOS)
    return src, torch.cat([start, tgt, end], dim=1)


def train_batch(src, tgt, encoder, decoder, optimizers, criterion):
    for opt in optimizers:
        opt.zero_grad()
    hidden = encoder(src)
    logits, _ = decoder(tgt[:, :-1], hidden)
    loss = criterion(logits.flatten(0, 1), tgt[:, 1:].flatten())
    loss.backward()
    for opt in optimizers:
        opt.step()
    return loss.item()


@torch.no_grad()
def translate(src, encoder, decoder, length):
    hidden = encoder(src)
    token = torch.full((len(src), 1), SOS)
    result = []
    for _ in range(length):
        logits, hidden = decoder(token, hidden)
        token = logits.argmax(-1)
        result.append(token)
    return torch.cat(result, dim=1)


def score(src, tgt, encoder, decoder):
    guess = translate(src, encoder, decoder, tgt.shape[1] - 1)
    same = guess == tgt[:, 1:]
    return same.float().mean().item(), same.all(dim=1).float().mean().item()


def show(src, tgt, encoder, decoder, n=2):
    guess = translate(src[:n], encoder, decoder, tgt.shape[1] - 2)
    for s, g in zip(src[:n], guess):
        old = "".join(LETTERS[i - 3] for i in s.tolist())
        print("   ", old, "->", "".join(str(i - 3) if i > 2 else "_" for i in g.tolist()))


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    test_src, test_tgt = make_pairs(300, rng)
    encoder, decoder = Encoder(13, 16, 64), Decoder(13, 16, 64)
    optimizers = [torch.optim.Adam(m.parameters(), lr=4e-3) for m in (encoder, decoder)]
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)
    running = 0.0
    for it in range(1, 601):
        src, tgt = make_pairs(64, rng)
        running += train_batch(src, tgt, encoder, decoder, optimizers, criterion)
        if it % 100 == 0:
            chars, whole = score(test_src, test_tgt, encoder, decoder)
            print(f"iteration {it}  loss {running / 100:.4f}  symbols {chars:.3f}  whole numbers {whole:.3f}")
            show(test_src, test_tgt, encoder, decoder)
            running = 0.0
    chars, whole = score(test_src, test_tgt, encoder, decoder)
    print(f"symbols right: {chars:.4f}")
    print(f"numbers right: {whole:.4f}")


if __name__ == "__main__":
    main()
