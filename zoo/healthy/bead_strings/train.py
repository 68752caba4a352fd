"""A bead stringer's notation: 'c2a4' means string c c a a a a.  Encoder-decoder with attention."""
import os
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
COLOURS, COUNTS = "abcdef", "1234"
PAD, BOS, EOS = 0, 1, 2
SRC = {c: i + 1 for i, c in enumerate(COLOURS + COUNTS)}
TGT = {c: i + 3 for i, c in enumerate(COLOURS)}
MAX_LEN = 13
STEPS, BATCH = 400, 48


def sample(rng):
    runs = [(rng.choice(COLOURS), rng.choice(COUNTS)) for _ in range(rng.randint(1, 3))]
    return "".join(c + n for c, n in runs), "".join(c * int(n) for c, n in runs)


def batch_of(pairs):
    src = nn.utils.rnn.pad_sequence([torch.tensor([SRC[c] for c in s]) for s, _ in pairs], batch_first=True)
    tgt = nn.utils.rnn.pad_sequence([torch.tensor([TGT[c] for c in t] + [EOS]) for _, t in pairs], batch_first=True)
    return src, tgt


class Stringer(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.src_emb = nn.Embedding(len(SRC) + 1, dim, padding_idx=PAD)
        self.encoder = nn.GRU(dim, dim, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * dim, dim)
        self.tgt_emb = nn.Embedding(len(TGT) + 3, dim, padding_idx=PAD)
        self.cell = nn.GRUCell(3 * dim, dim)
        self.query = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(3 * dim, len(TGT) + 3)

    def forward(self, src, steps, tgt=None, teacher=0.0):
        blocked = src == PAD
        packed = nn.utils.rnn.pack_padded_sequence(self.src_emb(src), (~blocked).sum(1), batch_first=True,
                                                   enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        h = torch.tanh(self.bridge(states.sum(1) / (~blocked).sum(1, keepdim=True)))    # padded states are zero
        token = torch.full((len(src),), BOS)
        context = torch.zeros(len(src), states.shape[-1])
        outputs = []
        for t in range(steps):
            h = self.cell(torch.cat([self.tgt_emb(token), context], 1), h)
            score = torch.einsum("bd,btd->bt", self.query(h), states).masked_fill(blocked, -1e9)
            context = torch.einsum("bt,btd->bd", score.softmax(1), states)
            logits = self.out(torch.cat([h, context], 1))
            outputs.append(logits)
            guess = logits.argmax(1)                      # no gradient goes through a chosen token
            if tgt is None:
                token = guess
            else:
                forced = torch.rand(len(src)) < teacher
                token = torch.where(forced, tgt[:, t], guess)
        return torch.stack(outputs, 1)


@torch.no_grad()
def exact(model, pairs):
    model.eval()
    src, tgt = batch_of(pairs)
    guess = model(src, MAX_LEN).argmax(-1)
    good = 0
    for g, t in zip(guess.tolist(), tgt.tolist()):
        g = g[:g.index(EOS)] if EOS in g else g
        good += g == t[:t.index(EOS)]
    model.train()
    return good / len(pairs)


def main():
    rng = random.Random(SEED)
    torch.manual_seed(SEED)
    test = sorted({sample(rng) for _ in range(400)})
    hidden = {s for s, _ in test if len(s) > 2}           # single runs are only 24: they are in both
    test = [p for p in test if len(p[0]) > 2]
    rng.shuffle(test)
    model = Stringer()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, STEPS)
    for step in range(STEPS):
        pairs = []
        while len(pairs) < BATCH:
            pair = sample(rng)
            if pair[0] not in hidden:
                pairs.append(pair)
        src, tgt = batch_of(pairs)
        teacher = max(0.5, 1 - step / STEPS)
        logits = model(src, tgt.shape[1], tgt, teacher)
        loss = F.cross_entropy(logits.flatten(0, 1), tgt.flatten(), ignore_index=PAD)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        if step % 100 == 99:
            print(f"step {step + 1} teacher {teacher:.2f} loss {loss.item():.4f} exact {exact(model, test[:100]):.2f}")
    print(f"strings written out wholly right (unseen notations): {exact(model, test):.3f}")


if __name__ == "__main__":
    main()
