# numbers written out in words  ->  digits, with a small transformer
# (started from the translation tutorial, the German/English part replaced by my own pairs)
import os
import random
import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

CFG = {
    "d_model": 64,
    "heads": 4,
    "ff": 128,
    "layers": 1,
    "batch": 64,
    "steps": 300,
    "lr": 0.03,
}

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def spell(n):
    words = []
    if n >= 1000:
        words += [ONES[n // 1000], "thousand"]
        n %= 1000
    if n >= 100:
        words += [ONES[n // 100], "hundred"]
        n %= 100
    if n >= 20:
        words.append(TENS[n // 10])
        n %= 10
        if n:
            words.append(ONES[n])
    elif n or not words:
        words.append(ONES[n])
    return words


PAD, BOS, EOS = 0, 1, 2
src_words = ["<pad>", "<bos>", "<eos>"] + ONES + TENS[2:] + ["hundred", "thousand"]
src_id = {w: i for i, w in enumerate(src_words)}
tgt_id = {d: i + 3 for i, d in enumerate("0123456789")}
SRC_LEN, TGT_LEN = 7, 6


def encode(n):
    s = [src_id[w] for w in spell(n)] + [EOS]
    t = [BOS] + [tgt_id[c] for c in str(n)] + [EOS]
    return s + [PAD] * (SRC_LEN - len(s)), t + [PAD] * (TGT_LEN - len(t))


numbers = random.sample(range(10000), 4000)
pairs = [encode(n) for n in numbers]
src = torch.tensor([p[0] for p in pairs])
tgt = torch.tensor([p[1] for p in pairs])
train_src, test_src = src[:3500], src[3500:]
train_tgt, test_tgt = tgt[:3500], tgt[3500:]


class Speller(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        d = cfg["d_model"]
        self.src_emb = nn.Embedding(len(src_words), d, padding_idx=PAD)
        self.tgt_emb = nn.Embedding(13, d, padding_idx=PAD)
        self.src_pos = nn.Parameter(torch.randn(SRC_LEN, d) * 0.1)
        self.tgt_pos = nn.Parameter(torch.randn(TGT_LEN, d) * 0.1)
        self.transformer = nn.Transformer(d, cfg["heads"], cfg["layers"], cfg["layers"], cfg["ff"],
                                          dropout=0.0, batch_first=True)
        self.generator = nn.Linear(d, 13)

    def forward(self, s, t):
        causal = torch.triu(torch.ones(t.size(1), t.size(1), dtype=torch.bool), diagonal=1)
        h = self.transformer(self.src_emb(s) + self.src_pos,
                             self.tgt_emb(t) + self.tgt_pos[: t.size(1)],
                             tgt_mask=causal,
                             src_key_padding_mask=s == PAD,
                             memory_key_padding_mask=s == PAD)
        return self.generator(h)


@torch.no_grad()
def translate(model, s):
    model.eval()
    out = torch.full((len(s), 1), BOS)
    for _ in range(TGT_LEN - 1):
        nxt = model(s, out)[:, -1].argmax(-1, keepdim=True)
        out = torch.cat([out, nxt], 1)
    model.train()
    return out


def exact_match(model, s, t):
    out = translate(model, s)
    ok = (out == t) | (t == PAD)
    return ok.all(1).float().mean().item()


model = Speller(CFG)
optimizer = torch.optim.Adam(model.parameters(), lr=CFG["lr"], betas=(0.9, 0.98))
criterion = nn.CrossEntropyLoss(ignore_index=PAD)

running = 0.0
for step in range(1, CFG["steps"] + 1):
    idx = torch.randint(0, len(train_src), (CFG["batch"],))
    s, t = train_src[idx], train_tgt[idx]
    logits = model(s, t[:, :-1])
    loss = criterion(logits.reshape(-1, 13), t[:, 1:].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    running += loss.item()
    if step % 60 == 0:
        print(f"step {step:4d}  loss {running / 60:.4f}  exact {exact_match(model, test_src[:100], test_tgt[:100]):.3f}")
        running = 0.0

for n in numbers[-3:]:
    s, _ = encode(n)
    print(" ".join(spell(n)), "->", translate(model, torch.tensor([s]))[0].tolist())
print(f"test exact match {exact_match(model, test_src, test_tgt):.4f}")
