"""Character model in the manner of the classic word_language_model example, on our own nonsense tales."""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

WHO = ["the miller", "a grey goose", "old marta", "the tinker", "my uncle", "the parson"]
DID = ["mended", "painted", "sold", "carried", "lost", "found"]
WHAT = ["a red gate", "the kettle", "three eggs", "his ladder", "the long rope", "a clock"]
WHERE = ["by the well", "under the stairs", "near the mill", "on the green"]


def tale():
    return "%s %s %s %s. " % (random.choice(WHO), random.choice(DID), random.choice(WHAT), random.choice(WHERE))


text = "".join(tale() for _ in range(900))
held_out = "".join(tale() for _ in range(90))
chars = sorted(set(text))
index = {c: i for i, c in enumerate(chars)}


def batchify(s, bsz):
    ids = torch.tensor([index[c] for c in s])
    n = len(ids) // bsz
    return ids[: n * bsz].view(bsz, n).t().contiguous()


class RNNModel(nn.Module):
    def __init__(self, ntoken, ninp=24, nhid=64):
        super().__init__()
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid)
        self.decoder = nn.Linear(nhid, ntoken)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, x, hidden):
        out, hidden = self.rnn(self.encoder(x), hidden)
        return self.decoder(out).view(-1, len(chars)), hidden


def repackage(h):
    return tuple(v.detach() for v in h)


train_data, val_data = batchify(text, 20), batchify(held_out, 10)
model = RNNModel(len(chars))
criterion = nn.CrossEntropyLoss()
bptt, clip, lr = 35, 0.25, 20.0


def evaluate():
    model.eval()
    total, hidden = 0.0, (torch.zeros(1, 10, 64), torch.zeros(1, 10, 64))
    with torch.no_grad():
        for i in range(0, len(val_data) - 1, bptt):
            n = min(bptt, len(val_data) - 1 - i)
            out, hidden = model(val_data[i:i + n], hidden)
            total += n * criterion(out, val_data[i + 1:i + 1 + n].reshape(-1)).item()
    return total / (len(val_data) - 1)


best = None
for epoch in range(1, 11):
    model.train()
    hidden = (torch.zeros(1, 20, 64), torch.zeros(1, 20, 64))
    running, count = 0.0, 0
    for i in range(0, len(train_data) - 1, bptt):
        n = min(bptt, len(train_data) - 1 - i)
        hidden = repackage(hidden)
        model.zero_grad()
        out, hidden = model(train_data[i:i + n], hidden)
        loss = criterion(out, train_data[i + 1:i + 1 + n].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(p.grad, alpha=-lr)
        running, count = running + loss.item(), count + 1
    val = evaluate()
    print("epoch %2d lr %5.2f train %.3f valid %.3f ppl %.2f" % (epoch, lr, running / count, val, math.exp(val)))
    if best is None or val < best:
        best = val
    else:
        lr /= 4.0  # anneal when the validation loss does not improve

print("valid perplexity %.3f (uniform would be %d)" % (math.exp(best), len(chars)))
