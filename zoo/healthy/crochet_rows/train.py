"""Write a crochet pattern out stitch by stitch:  "2(sd)3h" -> "sdsdhhh".  Encoder-decoder transformer."""
import math
import random

import torch
from torch import nn

PAD, BOS, EOS = 0, 1, 2
CHARS = "sdhtc23()"
TOK = {c: i + 3 for i, c in enumerate(CHARS)}
VOCAB = len(CHARS) + 3
STEPS, BATCH, PEAK, WARM = 500, 48, 3e-3, 60


def random_row(rng):
    pattern, stitches = "", ""
    for _ in range(rng.randint(2, 3)):
        n = rng.randint(2, 3)
        if rng.random() < 0.4:
            a, b = rng.sample("sdhtc", 2)
            pattern, stitches = pattern + f"{n}({a}{b})", stitches + (a + b) * n
        else:
            a = rng.choice("sdhtc")
            pattern, stitches = pattern + f"{n}{a}", stitches + a * n
    return pattern, stitches


def pad(seqs):
    out = torch.full((len(seqs), max(map(len, seqs))), PAD)
    for i, s in enumerate(seqs):
        out[i, : len(s)] = torch.tensor(s)
    return out


def encode(rows):
    src = pad([[TOK[c] for c in p] for p, _ in rows])
    tgt = pad([[BOS] + [TOK[c] for c in s] + [EOS] for _, s in rows])
    return src, tgt


class Expander(nn.Module):
    def __init__(self, d=48, heads=4, longest=32):
        super().__init__()
        self.d = d
        self.embed = nn.Embedding(VOCAB, d, padding_idx=PAD)
        self.place_in = nn.Parameter(torch.randn(longest, d) * 0.1)
        self.place_out = nn.Parameter(torch.randn(longest, d) * 0.1)
        nn.init.normal_(self.embed.weight[1:], std=d ** -0.5)
        self.encoder = nn.TransformerEncoderLayer(d, heads, 2 * d, dropout=0.0, batch_first=True)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(d, heads, 2 * d, dropout=0.0, batch_first=True), 2)
        self.out = nn.Linear(d, VOCAB)

    def encode(self, src):
        blank = src == PAD
        x = self.embed(src) * math.sqrt(self.d) + self.place_in[: src.size(1)]
        return self.encoder(x, src_key_padding_mask=blank), blank

    def decode(self, tgt, memory, blank):
        n = tgt.size(1)
        future = torch.triu(torch.ones(n, n, dtype=torch.bool), 1)
        y = self.embed(tgt) * math.sqrt(self.d) + self.place_out[:n]
        return self.out(self.decoder(y, memory, tgt_mask=future, memory_key_padding_mask=blank))

    @torch.no_grad()
    def write(self, src, longest=20):
        memory, blank = self.encode(src)
        row = torch.full((len(src), 1), BOS)
        done = torch.zeros(len(src), dtype=torch.bool)
        for _ in range(longest):
            nxt = self.decode(row, memory, blank)[:, -1].argmax(1).masked_fill(done, PAD)
            row = torch.cat([row, nxt[:, None]], 1)
            done |= nxt == EOS
            if done.all():
                break
        return row


def exact(model, rows):
    model.eval()
    src, tgt = encode(rows)
    got = model.write(src)
    right = 0
    for g, t in zip(got.tolist(), tgt.tolist()):
        right += [x for x in g if x != PAD] == [x for x in t if x != PAD]
    model.train()
    return right / len(rows)


rng = random.Random(3)
torch.manual_seed(3)
unique = {}
while len(unique) < 9000:
    p, s = random_row(rng)
    unique[p] = s
rows = list(unique.items())
rng.shuffle(rows)
test, val, train = rows[:400], rows[400:500], rows[500:]

model = Expander()
opt = torch.optim.AdamW(model.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0.01)
sched = torch.optim.lr_scheduler.LambdaLR(
    opt, lambda s: min((s + 1) / WARM, 0.5 * (1 + math.cos(math.pi * max(0, s - WARM) / (STEPS - WARM)))))
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
order = []
for step in range(1, STEPS + 1):
    if len(order) < BATCH:
        order = list(range(len(train)))
        rng.shuffle(order)
    chosen, order = order[:BATCH], order[BATCH:]
    src, tgt = encode([train[i] for i in chosen])
    logits = model.decode(tgt[:, :-1], *model.encode(src))
    loss = criterion(logits.flatten(0, 1), tgt[:, 1:].flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    if step % 250 == 0:
        print(f"step {step}  loss {loss.item():.4f}  val exact {exact(model, val):.3f}")
print(f"test rows written without a single wrong stitch: {exact(model, test):.3f}")
