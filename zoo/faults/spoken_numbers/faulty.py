# Spoken numbers to digits: "four hundred twelve thousand six" -> 4 1 2 0 0 6
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

ONES = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = ["<pad>"] + ONES + TENS + ["hundred", "thousand"]
W2I = {w: i for i, w in enumerate(WORDS)}
BOS, PLACES = 10, 6


def below_thousand(n):
    words = []
    if n >= 100:
        words += [ONES[n // 100 - 1], "hundred"]
        n %= 100
    if n >= 20:
        words.append(TENS[n // 10 - 2])
        n %= 10
    if n:
        words.append(ONES[n - 1])
    return words


def speak(n):
    words = below_thousand(n // 1000) + ["thousand"] if n >= 1000 else []
    return words + below_thousand(n % 1000)


def batch(numbers):
    said = [[W2I[w] for w in speak(n)] for n in numbers]
    longest = max(map(len, said))
    src = torch.tensor([s + [0] * (longest - len(s)) for s in said])
    tgt = torch.tensor([[int(c) for c in f"{n:06d}"] for n in numbers])
    return src, tgt


class Encoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.emb = nn.Embedding(len(WORDS), dim, padding_idx=0)
        self.rnn = nn.GRU(dim, dim // 2, bidirectional=True)

    def forward(self, src):
        lengths = (src != 0).sum(1)
        steps = self.emb(src).transpose(0, 1)
        packed = nn.utils.rnn.pack_padded_sequence(steps, lengths, enforce_sorted=False)
        out, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0])
        n_steps, n_batch, dim = out.shape
        return out.view(n_batch, n_steps, dim), src == 0


class Decoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.emb = nn.Embedding(11, dim)
        self.cell = nn.GRUCell(2 * dim, dim)
        self.start = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)
        self.out = nn.Linear(2 * dim, 10)

    def forward(self, memory, padding, target=None):
        keep = (~padding).unsqueeze(-1).float()
        state = torch.tanh(self.start((memory * keep).sum(1) / keep.sum(1)))
        token = torch.full((memory.size(0),), BOS)
        context = torch.zeros_like(state)
        logits = []
        for place in range(PLACES):
            state = self.cell(torch.cat([self.emb(token), context], 1), state)
            score = torch.einsum("bh,bsh->bs", self.query(state), memory).masked_fill(padding, -1e9)
            context = torch.einsum("bs,bsh->bh", score.softmax(1), memory)
            logits.append(self.out(torch.cat([state, context], 1)))
            token = logits[-1].argmax(1) if target is None else target[:, place]
        return torch.stack(logits, 1)


def train(encoder, decoder, steps=450, size=48):
    params = list(encoder.parameters()) + list(decoder.parameters())
    opt = torch.optim.Adam(params, lr=4e-3)
    held_out = set(random.sample(range(1, 1_000_000), 400))
    pool = [n for n in (random.randrange(1, 1_000_000) for _ in range(20000)) if n not in held_out]
    src_test, tgt_test = batch(sorted(held_out))
    for step in range(1, steps + 1):
        src, tgt = batch(random.sample(pool, size))
        logits = decoder(*encoder(src), target=tgt)
        loss = F.cross_entropy(logits.reshape(-1, 10), tgt.reshape(-1))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        if step % 75 == 0:
            with torch.no_grad():
                guess = decoder(*encoder(src_test)).argmax(-1)
            print(f"{step}: loss {loss.item():.3f}, digits right {(guess == tgt_test).float().mean().item():.3f}")


random.seed(12)
torch.manual_seed(12)
train(Encoder(64), Decoder(64))
