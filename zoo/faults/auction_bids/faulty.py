"""Reads bids out: "4071" -> "four thousand seventy one". Encoder-decoder with attention."""
import random

import torch
import torch.nn as nn

random.seed(8)
torch.manual_seed(8)

ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen").split()
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
    return words


PAD, BOS, EOS = 0, 1, 2
OUT_VOCAB = ["<pad>", "<bos>", "<eos>"] + ONES[1:] + TENS[2:] + ["hundred", "thousand"]
OUT_IDX = {w: i for i, w in enumerate(OUT_VOCAB)}


def encode_pair(n):
    src = [int(c) + 1 for c in str(n)]
    tgt = [BOS] + [OUT_IDX[w] for w in spell(n)] + [EOS]
    return src, tgt


def pad(seqs):
    longest = max(map(len, seqs))
    return torch.tensor([s + [PAD] * (longest - len(s)) for s in seqs])


class Encoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.emb = nn.Embedding(11, dim, padding_idx=PAD)
        self.rnn = nn.GRU(dim, dim // 2, batch_first=True, bidirectional=True)

    def forward(self, src):
        out, h = self.rnn(self.emb(src))
        return out, torch.cat([h[0], h[1]], dim=-1).unsqueeze(0)


class Decoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.emb = nn.Embedding(len(OUT_VOCAB), dim, padding_idx=PAD)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.mix = nn.Linear(2 * dim, dim)
        self.out = nn.Linear(dim, len(OUT_VOCAB))

    def forward(self, words, h, memory, mask):
        q, h = self.rnn(self.emb(words), h)
        scores = q @ memory.transpose(1, 2) / memory.size(-1) ** 0.5
        scores = scores.masked_fill(mask.unsqueeze(1), -1e9)
        context = scores.softmax(-1) @ memory
        return self.out(torch.tanh(self.mix(torch.cat([q, context], -1)))), h


class Seq2Seq(nn.Module):
    def __init__(self, dim=96):
        super().__init__()
        self.encoder, self.decoder = Encoder(dim), Decoder(dim)

    def forward(self, src, words):
        memory, h = self.encoder(src)
        logits, _ = self.decoder(words, h, memory, src == PAD)
        return logits

    @torch.no_grad()
    def translate(self, src, max_len=9):
        memory, h = self.encoder(src)
        word = torch.full((len(src), 1), BOS)
        result = []
        for _ in range(max_len):
            logits, h = self.decoder(word, h, memory, src == PAD)
            word = logits.argmax(-1)
            result.append(word)
        return torch.cat(result, 1).tolist()


def cut(tokens):
    return tokens[:tokens.index(EOS)] if EOS in tokens else tokens


numbers = random.sample(range(1, 10000), 3300)
train_pairs = [encode_pair(n) for n in numbers[:3000]]
test_pairs = [encode_pair(n) for n in numbers[3000:]]

model = Seq2Seq()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
EPOCHS, BATCH = 8, 64
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.85)


def exact_match(pairs):
    model.eval()
    said = model.translate(pad([s for s, _ in pairs]))
    return sum(cut(o) == t[1:-1] for o, (_, t) in zip(said, pairs)) / len(pairs)


for epoch in range(1, EPOCHS + 1):
    model.train()
    random.shuffle(train_pairs)
    total, batches = 0.0, 0
    for i in range(0, len(train_pairs), BATCH):
        chunk = train_pairs[i:i + BATCH]
        src, tgt = pad([s for s, _ in chunk]), pad([t for _, t in chunk])
        logits = model(src, tgt)
        loss = criterion(logits.flatten(0, 1), tgt.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total, batches = total + loss.item(), batches + 1
    scheduler.step()
    print(f"epoch {epoch:2d}  train loss {total / batches:.4f}")

for n in random.sample(numbers[3000:], 3):
    said = model.translate(torch.tensor([encode_pair(n)[0]]))[0]
    print(n, "->", " ".join(OUT_VOCAB[w] for w in cut(said)))
print(f"test exact match {exact_match(test_pairs):.3f}")
