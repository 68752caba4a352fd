"""Say what is written: spelling to sounds with attention, decoded by a beam."""
import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence

PAD, START, STOP = 0, 1, 2
LETTERS = "abcdefghilmnoprstu"
SOUNDS = sorted({*"abdefgilmnoprstu", "k", "S", "T", "C", "A", "I", "O", "E", "U", "j"})
VOWELS = "aeiou"


def pronounce(word):
    """Soft c and g before e and i, digraphs, long vowels before a final silent e."""
    silent = len(word) > 3 and word[-1] == "e" and word[-2] not in VOWELS and word[-3] in VOWELS
    body = word[:-1] if silent else word
    out, i = [], 0
    while i < len(body):
        pair = body[i : i + 2]
        after = word[i + 1 : i + 2]
        if pair in ("sh", "th", "ch"):
            out.append({"s": "S", "t": "T", "c": "C"}[pair[0]])
            i += 2
            continue
        c = body[i]
        if c == "c":
            out.append("s" if after and after in "ei" else "k")
        elif c == "g":
            out.append("j" if after and after in "ei" else "g")
        elif c in VOWELS and silent and i == len(body) - 2:
            out.append(c.upper())
        elif c != "h":
            out.append(c)
        i += 1
    return out


def make_words(n):
    rng, words = random.Random(6), {}
    onsets = ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "sh", "th", "ch", "st", "pl"]
    while len(words) < n:
        word = "".join(rng.choice(onsets) + rng.choice(VOWELS) for _ in range(rng.randint(1, 2)))
        word += rng.choice(["", "n", "t", "c", "le", "ne", "te", "g", "sh"])
        words[word] = pronounce(word)
    return list(words.items())


def numbers(word, sounds):
    return (
        torch.tensor([LETTERS.index(c) + 3 for c in word]),
        torch.tensor([START] + [SOUNDS.index(s) + 3 for s in sounds] + [STOP]),
    )


class Speaker(nn.Module):
    def __init__(self, dim=32, hidden=48):
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS) + 3, dim, padding_idx=PAD)
        self.sounds = nn.Embedding(len(SOUNDS) + 3, dim, padding_idx=PAD)
        self.reader = nn.GRU(dim, hidden // 2, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(hidden, hidden)
        self.speaker = nn.GRU(dim, hidden, batch_first=True)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.out = nn.Linear(2 * hidden, len(SOUNDS) + 3)

    def read(self, letters):
        lengths = (letters != PAD).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.letters(letters), lengths, batch_first=True, enforce_sorted=False)
        states, last = self.reader(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=letters.shape[1])
        return memory, letters == PAD, torch.tanh(self.bridge(torch.cat([last[0], last[1]], 1)))[None]

    def speak(self, sounds, state, memory, absent):
        h, state = self.speaker(self.sounds(sounds), state)
        scores = self.query(h) @ memory.transpose(1, 2)
        weights = scores.masked_fill(absent[:, None], float("-inf")).softmax(2)
        return self.out(torch.cat([h, weights @ memory], 2)), state

    @torch.no_grad()
    def beam(self, word, width=3, limit=12):
        memory, absent, state = self.read(word[None])
        beams, done = [(0.0, [START], state)], []
        for _ in range(limit):
            grown = []
            for score, said, state in beams:
                logits, state = self.speak(torch.tensor([[said[-1]]]), state, memory, absent)
                best = logits[0, -1].log_softmax(0).topk(width)
                grown += [(score + p, said + [k], state) for p, k in zip(best.values.tolist(), best.indices.tolist())]
            grown.sort(key=lambda g: -g[0])
            done += [g for g in grown[:width] if g[1][-1] == STOP]
            beams = [g for g in grown[:width] if g[1][-1] != STOP]
            if not beams or len(done) >= width:
                break
        return max(done or beams, key=lambda g: g[0] / len(g[1]))[1]


random.seed(61)
torch.manual_seed(61)
pairs = [numbers(*p) for p in make_words(1800)]
random.shuffle(pairs)
test, train = pairs[:150], pairs[150:]
model = Speaker()
adam = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(1, 8):
    model.train()
    random.shuffle(train)
    total, batches = 0.0, 0
    for i in range(0, len(train), 32):
        words, said = zip(*train[i : i + 32])
        letters, sounds = pad_sequence(words, batch_first=True), pad_sequence(said, batch_first=True)
        memory, absent, state = model.read(letters)
        logits, _ = model.speak(sounds[:, :-1], state, memory, absent)
        loss = F.cross_entropy(logits.transpose(1, 2), sounds[:, 1:], ignore_index=PAD)
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        adam.step()
        total, batches = total + loss.item(), batches + 1
    print(f"epoch {epoch} loss {total / batches:.3f}")
model.eval()
right = sum(model.beam(word) == said.tolist() for word, said in test)
print(f"words said right {right / len(test):.3f}")
