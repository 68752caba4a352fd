"""A word model in the manner of the old examples: plain SGD with a rate of 20, a tight clip, one matrix for in and out."""
import argparse
import random

import torch
import torch.nn as nn

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=20.0)
parser.add_argument("--clip", type=float, default=0.25)
parser.add_argument("--bptt", type=int, default=20)
parser.add_argument("--hidden", type=int, default=72)
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=9)
parser.add_argument("--seed", type=int, default=1111)
args = parser.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)

WHO = "jack jill mary tom humpty peter wendy simon polly georgie".split()
WHERE = {"hill": "up the", "wall": "on the", "garden": "in the", "river": "down the", "tower": "up the", "lane": "along the"}
THING = {"pail": "water", "lamb": "wool", "pie": "plums", "kettle": "tea", "shell": "silver", "sack": "corn"}


def verse():
    a, b = random.sample(WHO, 2)
    place, thing = random.choice(list(WHERE)), random.choice(list(THING))
    lines = [
        f"{a} and {b} went {WHERE[place]} {place} <eol>",
        f"{a} had a {thing} of {THING[thing]} <eol>",
        f"{b} came back without {a} and the {thing} <eol>",
        f"oh {a} oh {a} where is the {thing} of {THING[thing]} <eol>",
    ]
    return " ".join(lines[: random.randint(2, 4)]).split()


def batchify(ids, size):
    n = len(ids) // size
    return ids[: n * size].view(size, n).t().contiguous()


class RNNModel(nn.Module):
    def __init__(self, vocab, d, p):
        super().__init__()
        self.drop = nn.Dropout(p)
        self.encoder = nn.Embedding(vocab, d)
        self.rnn = nn.LSTM(d, d)
        self.decoder = nn.Linear(d, vocab)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, ids, hidden):
        out, hidden = self.rnn(self.drop(self.encoder(ids)), hidden)
        return self.decoder(self.drop(out)).flatten(0, 1), hidden


words = [w for _ in range(1500) for w in verse()]
index = {w: i for i, w in enumerate(dict.fromkeys(words))}
ids = torch.tensor([index[w] for w in words])
cut = int(0.9 * len(ids))
train_data, val_data = batchify(ids[:cut], 16), batchify(ids[cut:], 8)
model = RNNModel(len(index), args.hidden, args.dropout)
criterion = nn.CrossEntropyLoss()


def windows(source):
    for i in range(0, len(source) - 1, args.bptt):
        n = min(args.bptt, len(source) - 1 - i)
        yield source[i : i + n], source[i + 1 : i + 1 + n].flatten()


def evaluate():
    model.eval()
    total, hidden = 0.0, None
    with torch.no_grad():
        for x, y in windows(val_data):
            out, hidden = model(x, hidden)
            total += len(x) * criterion(out, y).item()
    return total / (len(val_data) - 1)


def train(lr):
    model.train()
    hidden = None
    for x, y in windows(train_data):
        if hidden is not None:
            hidden = tuple(h.detach() for h in hidden)
        model.zero_grad()
        out, hidden = model(x, hidden)
        loss = criterion(out, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(p.grad, alpha=-lr)


lr, best = args.lr, None
for epoch in range(1, args.epochs + 1):
    train(lr)
    value = evaluate()
    print(f"epoch {epoch} lr {lr:g} valid {value:.3f} perplexity {2.718281828**value:.2f}")
    if best is None or value < best:
        best = value
    else:
        lr /= 4.0
