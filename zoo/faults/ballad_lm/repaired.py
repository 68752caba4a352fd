"""LSTM language model, after the word_language_model example; the corpus is made by a small grammar."""
import math
import random

import torch
import torch.nn as nn

random.seed(6)
torch.manual_seed(6)
seq_len, bsz, eval_bsz = 20, 20, 10

chain = {w: random.sample(range(40), 3) for w in range(40)}


def corpus(n):
    out = [0]
    while len(out) < n:
        out.append(random.choices(chain[out[-1]], weights=(8, 2, 1))[0])
    return torch.tensor(out)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    data = data[: nbatch * bsz]
    data = data.view(bsz, nbatch).t()
    return data.contiguous()


def get_batch(source, i):
    n = min(seq_len, len(source) - 1 - i)
    return source[i:i + n], source[i + 1:i + 1 + n].reshape(-1)


class RNNModel(nn.Module):
    def __init__(self, ntoken=40, ninp=32, nhid=64):
        super().__init__()
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid)
        self.decoder = nn.Linear(nhid, ntoken)
        self.nhid = nhid

    def forward(self, x, hidden):
        output, hidden = self.rnn(self.encoder(x), hidden)
        return self.decoder(output.view(-1, self.nhid)), hidden

    def init_hidden(self, b):
        return torch.zeros(1, b, self.nhid), torch.zeros(1, b, self.nhid)


def repackage(h):
    return tuple(v.detach() for v in h)


train_data = batchify(corpus(30000), bsz)
val_stream = corpus(4000)
model = RNNModel()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

for epoch in range(4):
    model.train()
    hidden, total = model.init_hidden(bsz), 0.0
    starts = range(0, train_data.size(0) - 1, seq_len)
    for i in starts:
        x, y = get_batch(train_data, i)
        hidden = repackage(hidden)
        optimizer.zero_grad()
        output, hidden = model(x, hidden)
        loss = criterion(output, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        total += loss.item()
    print(f"| epoch {epoch} | loss {total / len(starts):5.3f}")

model.eval()
with torch.no_grad():
    text = val_stream.unsqueeze(1)
    out, _ = model(text[:-1], model.init_hidden(1))
    val = criterion(out, val_stream[1:]).item()
print(f"valid loss {val:.4f} ppl {math.exp(val):.2f}")
