"""Sums as spoken at the abacus: "47+58=" goes in, "105" comes out, both from the last character backwards.

GRU encoder, GRU decoder with dot attention, trained with teacher forcing; tested by free running.
"""
import os
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
CH = "0123456789+=<>_"          # < start, > stop, _ padding
ID = {c: i for i, c in enumerate(CH)}
PAD = ID["_"]
MAXOUT = 4


def problem(a, b):
    return f"{a}+{b}="[::-1], "<" + str(a + b)[::-1] + ">"


def batch_of(pairs):
    src, tgt = zip(*(problem(a, b) for a, b in pairs))
    enc = lambda s: torch.tensor([ID[c] for c in s])
    return (pad_sequence([enc(s) for s in src], batch_first=True, padding_value=PAD),
            pad_sequence([enc(t) for t in tgt], batch_first=True, padding_value=PAD))


# every sum of two numbers up to 99, split once; nothing of the test is seen in training
grid = torch.cartesian_prod(torch.arange(100), torch.arange(100))
grid = grid[torch.randperm(len(grid))]
train, test = grid[:8500], grid[8500:]
train_src, train_tgt = batch_of(train.tolist())
test_src, test_tgt = batch_of(test.tolist())


class Abacus(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.emb = nn.Embedding(len(CH), 24, padding_idx=PAD)
        self.enc = nn.GRU(24, h, batch_first=True)
        self.dec = nn.GRU(24, h, batch_first=True)
        self.out = nn.Linear(2 * h, len(CH))

    def encode(self, src):
        packed = pack_padded_sequence(self.emb(src), (src != PAD).sum(1), batch_first=True, enforce_sorted=False)
        mem, state = self.enc(packed)
        mem, _ = pad_packed_sequence(mem, batch_first=True, total_length=src.shape[1])
        return mem, state, src == PAD

    def decode(self, tok, state, mem, mask):
        d, state = self.dec(self.emb(tok), state)
        att = (d @ mem.transpose(1, 2)) / mem.shape[-1] ** 0.5
        att = att.masked_fill(mask[:, None], float("-inf")).softmax(-1)
        return self.out(torch.cat([d, att @ mem], -1)), state

    def forward(self, src, tgt_in):
        mem, state, mask = self.encode(src)
        return self.decode(tgt_in, state, mem, mask)[0]

    @torch.no_grad()
    def speak(self, src):
        mem, state, mask = self.encode(src)
        tok = torch.full((len(src), 1), ID["<"])
        said, over = [], torch.zeros(len(src), dtype=torch.bool)
        for _ in range(MAXOUT):
            logits, state = self.decode(tok, state, mem, mask)
            tok = logits.argmax(-1)
            said.append(torch.where(over, PAD, tok[:, 0]))
            over |= tok[:, 0] == ID[">"]
        return torch.stack(said, 1)


def exact(model, src, tgt):
    want = F.pad(tgt[:, 1:], (0, MAXOUT - (tgt.shape[1] - 1)), value=PAD)
    return (model.speak(src) == want).all(1).float().mean().item()


model = Abacus()
opt = torch.optim.Adam(model.parameters(), lr=8e-3)
EPOCHS, B = 8, 100
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 8e-3, total_steps=EPOCHS * len(train) // B, pct_start=0.2)
for ep in range(1, EPOCHS + 1):
    model.train()
    tot = 0.0
    for i in torch.randperm(len(train)).split(B):
        src, tgt = train_src[i], train_tgt[i]
        logits = model(src, tgt[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tgt[:, 1:].flatten(), ignore_index=PAD)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        tot += loss.item()
    if ep % 2 == 0:
        model.eval()
        print(f"epoch {ep} forced loss {tot / 85:.4f}  spoken right {exact(model, test_src[:300], test_tgt[:300]):.3f} of 300")
model.eval()
print(f"test sums spoken right {exact(model, test_src, test_tgt):.4f}")
