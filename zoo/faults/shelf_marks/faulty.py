import argparse
import random

import torch
from torch import nn

# Library shelf marks, written out by hand in three habits -> the catalogue's one form.
PAD, BOS, EOS = 0, 1, 2
CHARS = "abcdefghijklmnopqrstuvwxyz0123456789 ./-:"
STOI = {c: i + 3 for i, c in enumerate(CHARS)}
ITOS = {i: c for c, i in STOI.items()}


def mark(rnd):
    room, shelf, book = rnd.choice("abcdefgh"), rnd.randint(1, 40), rnd.randint(1, 99)
    clean = f"{room}{shelf:02d}.{book:02d}"
    messy = [
        lambda: f"room {room} {shelf}/{book}",
        lambda: f"{book} in {room}-{shelf}",
        lambda: f"{room}:{shelf}:{book}",
    ]
    return rnd.choice(messy)(), clean


def encode(pairs):
    def rows(texts, wrap):
        ids = [[STOI[c] for c in t] for t in texts]
        ids = [[BOS, *r, EOS] if wrap else r for r in ids]
        return nn.utils.rnn.pad_sequence([torch.tensor(r) for r in ids], batch_first=True)

    src, tgt = zip(*pairs)
    return rows(src, False), rows(tgt, True)


class Seq2Seq(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(len(CHARS) + 3, width, padding_idx=PAD)
        self.encoder = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.query = nn.Linear(width, width, bias=False)
        self.out = nn.Sequential(nn.Linear(2 * width, width), nn.Tanh(), nn.Linear(width, len(CHARS) + 3))

    def encode(self, src):
        memory, last = self.encoder(self.embed(src))
        return memory, torch.cat([last[0], last[1]], 1)[None]

    def decode(self, ids, hidden, memory, src):
        h, hidden = self.decoder(self.embed(ids), hidden)
        score = self.query(h) @ memory.transpose(1, 2) / memory.shape[-1] ** 0.5
        weight = score.masked_fill((src == PAD)[:, None], -1e9).softmax(-1)
        return self.out(torch.cat([h, weight @ memory], -1)), hidden


@torch.no_grad()
def greedy(model, src, limit):
    memory, hidden = model.encode(src)
    token = torch.full((len(src), 1), BOS)
    said = []
    for _ in range(limit):
        logits, hidden = model.decode(token, hidden, memory, src)
        token = logits.argmax(-1)
        said.append(token)
    return torch.cat(said, 1)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--width", type=int, default=64)
    ap.add_argument("--lr", type=float, default=4e-3)
    ap.add_argument("--steps", type=int, default=300)
    args = ap.parse_args([])
    torch.manual_seed(17)
    random.seed(17)
    pairs = list(dict.fromkeys(mark(random) for _ in range(9000)))
    test, train = pairs[:300], pairs[300:]
    src_test, tgt_test = encode(test)
    model = Seq2Seq(args.width)
    optim = torch.optim.Adam(model.parameters(), lr=args.lr)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)
    for step in range(1, args.steps + 1):
        src, tgt = encode(random.sample(train, 48))
        memory, hidden = model.encode(src)
        logits, _ = model.decode(tgt[:, 1:], hidden, memory, src)
        loss = criterion(logits.flatten(0, 1), tgt[:, 1:].flatten())
        optim.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optim.step()
        if step % 50 == 0:
            said = greedy(model, src_test, tgt_test.shape[1] - 1)
            whole = ((said == tgt_test[:, 1:]) | (tgt_test[:, 1:] == PAD)).all(1).float().mean()
            print(f"step {step} loss {loss.item():.4f} whole marks right {whole:.3f}")


main()
