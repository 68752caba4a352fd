"""Typists make errors of their own kind.  From one line with errors: which of four typists wrote it?"""
import os
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

SEED = int(os.environ.get("SEED", "0"))
ALPHABET = "abcdefghijklmnopqrstuvwxyz "
WORDS = """ribbon letter paper office margin carbon copy minute reply order sample invoice regard notice
please thank morning evening account balance forward receive answer matter further kindly""".split()


def line(rnd, typist):
    text = " ".join(rnd.choice(WORDS) for _ in range(rnd.randint(3, 7)))
    out = []
    i = 0
    while i < len(text):
        c = text[i]
        if rnd.random() < 0.12:
            if typist == 0 and c != " ":
                out += [c, c]                                    # doubles letters
            elif typist == 1:
                pass                                             # drops letters
            elif typist == 2 and i + 1 < len(text):
                out += [text[i + 1], c]                          # swaps neighbours
                i += 1
            else:
                out.append(rnd.choice("abcdefghijklmnopqrstuvwxyz"))   # hits the key beside it
        else:
            out.append(c)
        i += 1
    return "".join(out) or "a"


def encode(text):
    return torch.tensor([ALPHABET.index(c) + 1 for c in text])


class TypistNet(nn.Module):
    """Convolutions of width 2 to 5 over characters, then the maximum over the places that are not padding."""

    def __init__(self, width=48):
        super().__init__()
        self.emb = nn.Embedding(len(ALPHABET) + 1, 24, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv1d(24, width, k, padding=k // 2) for k in (2, 3, 4, 5)])
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(4 * width, 4)

    def forward(self, ids, lengths):
        e = self.emb(ids).transpose(1, 2)
        keep = (torch.arange(ids.shape[1]) < lengths[:, None]).unsqueeze(1)
        tops = []
        for conv in self.convs:
            h = torch.relu(conv(e)[..., :ids.shape[1]])
            tops.append((h * keep).amax(2))
        return self.out(self.drop(torch.cat(tops, 1)))


def batches(data, size, shuffle):
    order = list(range(len(data)))
    if shuffle:
        random.shuffle(order)
    for i in range(0, len(order), size):
        part = [data[j] for j in order[i:i + size]]
        ids = pad_sequence([p[0] for p in part], batch_first=True)
        yield ids, torch.tensor([len(p[0]) for p in part]), torch.tensor([p[1] for p in part])


def accuracy(model, data):
    model.eval()
    with torch.no_grad():
        right = sum((model(i, l).argmax(1) == y).sum().item() for i, l, y in batches(data, 200, False))
    return right / len(data)


random.seed(SEED)
torch.manual_seed(SEED)
rnd = random.Random(SEED + 1)
data = [(encode(line(rnd, k)), k) for k in [rnd.randrange(4) for _ in range(3000)]]
train, test = data[:2500], data[2500:]
model = TypistNet()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
EPOCHS = 10
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
for epoch in range(EPOCHS):
    model.train()
    total = 0.0
    for ids, lengths, y in batches(train, 32, True):
        loss = nn.functional.cross_entropy(model(ids, lengths), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(y)
    sched.step()
    print(f"epoch {epoch} loss {total / len(train):.3f} test accuracy {accuracy(model, test):.3f}")
print(f"final test accuracy {accuracy(model, test):.3f}")
