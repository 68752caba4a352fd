"""Word model of coastal weather bulletins, after the old PyTorch word_language_model recipe: plain SGD with a very
large rate, clipped gradients, tied embeddings, the state carried from batch to batch in the order of the text."""
import math
import random

import torch
import torch.nn as nn

random.seed(22)
torch.manual_seed(22)

AREAS = "viking forties cromarty tyne dogger humber thames dover wight portland plymouth biscay fastnet".split()
QUARTERS = "north northeast east southeast south southwest west northwest".split()
BATCH, BPTT, HIDDEN = 16, 20, 96


def bulletin():
    """The areas come in their order, and the wind turns by at most one quarter from area to area."""
    words, wind, force = [], random.randrange(8), random.randint(3, 7)
    for area in AREAS:
        wind = (wind + random.choice([0, 0, 1])) % 8
        force = min(max(force + random.choice([-1, 0, 0, 1]), 2), 9)
        words += [area, QUARTERS[wind], str(force)]
        words += ["rain", "moderate"] if force > 5 else ["fair", "good"]
        words.append(";")
    return words + ["<end>"]


def batchify(ids, bsz):
    n = len(ids) // bsz
    return ids[:n * bsz].view(bsz, n).t().contiguous()


def get_batch(source, i):
    n = min(BPTT, len(source) - 1 - i)
    return source[i:i + n], source[i + 1:i + 1 + n].reshape(-1)


class RNNModel(nn.Module):
    def __init__(self, ntoken, ninp, dropout=0.2):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, ninp)
        self.decoder = nn.Linear(ninp, ntoken)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, x, hidden):
        out, hidden = self.rnn(self.drop(self.encoder(x)), hidden)
        return self.decoder(self.drop(out)).flatten(0, 1), hidden

    def init_hidden(self, bsz):
        return torch.zeros(1, bsz, HIDDEN), torch.zeros(1, bsz, HIDDEN)


def repackage(hidden):
    return tuple(h.detach() for h in hidden)


text = [w for _ in range(420) for w in bulletin()]
vocab = sorted(set(text))
lookup = {w: i for i, w in enumerate(vocab)}
ids = torch.tensor([lookup[w] for w in text])
cut = int(0.85 * len(ids))
train_data, val_data = batchify(ids[:cut], BATCH), batchify(ids[cut:], 8)

model = RNNModel(len(vocab), HIDDEN)
criterion = nn.CrossEntropyLoss()
lr, best = 20.0, None


def evaluate():
    model.eval()
    hidden, total = model.init_hidden(8), 0.0
    with torch.no_grad():
        for i in range(0, len(val_data) - 1, BPTT):
            x, y = get_batch(val_data, i)
            out, hidden = model(x, hidden)
            total += len(x) * criterion(out, y).item()
    return total / (len(val_data) - 1)


for epoch in range(1, 13):
    model.train()
    hidden, total, n = model.init_hidden(BATCH), 0.0, 0
    for i in range(0, len(train_data) - 1, BPTT):
        x, y = get_batch(train_data, i)
        hidden = repackage(hidden)
        model.zero_grad()
        out, hidden = model(x, hidden)
        loss = criterion(out, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(p.grad, alpha=-lr)
        total, n = total + loss.item(), n + 1
    val = evaluate()
    print(f"epoch {epoch:2d} | lr {lr:6.3f} | train {total / n:.3f} | valid {val:.3f} | ppl {math.exp(val):.2f}")
    if best is None or val < best:
        best = val
    else:
        lr /= 4.0

print(f"uniform perplexity {len(vocab)}")
print(f"validation perplexity {math.exp(evaluate()):.3f}")
