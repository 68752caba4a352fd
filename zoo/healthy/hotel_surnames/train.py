"""The hotel's guest list: from which of four (invented) countries is a surname?  Counted letters, then an LSTM."""
import math
import os
import random
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

SEED = int(os.environ.get("SEED", "0"))
COUNTRIES = {
    "Orvia": (["ka", "ro", "mi", "ta", "sen", "or", "vi"], ["ov", "in", "ska", "ko"]),
    "Telmar": (["tel", "mar", "an", "do", "ri", "sa", "lo"], ["ez", "os", "ino", "ar"]),
    "Hjord": (["hjo", "sven", "ing", "ar", "bjo", "ta", "ran"], ["sson", "dal", "vik", "in"]),
    "Quel": (["que", "lo", "bea", "mar", "vi", "an", "du"], ["eau", "ier", "ez", "et"]),
}
LABELS = list(COUNTRIES)


def surname(rng):
    label = rng.randrange(4)
    stems, ends = COUNTRIES[LABELS[label]]
    word = "".join(rng.choices(stems, k=rng.randint(1, 3)))
    if rng.random() < 0.6:
        word += rng.choice(ends)
    if rng.random() < 0.25:                             # the porter's spelling
        i = rng.randrange(len(word))
        word = word[:i] + rng.choice("abdeiklmnorstuv") + word[i + 1:]
    return word, label


class LetterCounts:
    """Naive Bayes on single letters."""

    def __init__(self, data):
        self.counts = [Counter() for _ in LABELS]
        for word, label in data:
            self.counts[label].update(word)
        self.sizes = [sum(c.values()) for c in self.counts]

    def predict(self, word):
        return max(range(4), key=lambda k: sum(
            math.log((self.counts[k][c] + 0.5) / (self.sizes[k] + 13)) for c in word))


class SurnameLSTM(nn.Module):
    def __init__(self, n_chars, emb=16, hidden=40):
        super().__init__()
        self.emb = nn.Embedding(n_chars, emb, padding_idx=0)
        self.lstm = nn.LSTM(emb, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(2 * hidden, len(LABELS))

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(self.emb(ids), lengths, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.out(self.drop(torch.cat([h[0], h[1]], dim=1)))


def to_batch(rows):
    ids = [torch.tensor([ord(c) - 96 for c in word]) for word, _ in rows]
    return pad_sequence(ids, batch_first=True), torch.tensor([len(i) for i in ids]), torch.tensor([l for _, l in rows])


def main():
    rng = random.Random(SEED)
    torch.manual_seed(SEED)
    seen = {}
    while len(seen) < 3200:                             # every spelling once, so none is in two parts
        word, label = surname(rng)
        seen.setdefault(word, label)
    data = list(seen.items())
    rng.shuffle(data)
    train, test = data[:2400], data[2400:]
    letters = LetterCounts(train)
    base = sum(letters.predict(w) == l for w, l in test) / len(test)

    model = SurnameLSTM(27)
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.8)
    for epoch in range(8):
        model.train()
        rng.shuffle(train)
        total = 0.0
        for i in range(0, len(train), 12):
            ids, lengths, labels = to_batch(train[i:i + 12])
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(ids, lengths), labels)
            loss.backward()
            opt.step()
            total += loss.item() * len(labels)
        sched.step()
        print(f"epoch {epoch} loss {total / len(train):.4f}")
    model.eval()
    with torch.no_grad():
        ids, lengths, labels = to_batch(test)
        acc = (model(ids, lengths).argmax(1) == labels).float().mean().item()
    print(f"test accuracy: counted letters {base:.3f}, LSTM {acc:.3f}")


if __name__ == "__main__":
    main()
