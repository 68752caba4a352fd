"""Write out knitting shorthand stitch by stitch: k2p1y2 -> kkpyy."""
import random
import torch
import torch.nn as nn

random.seed(14)
torch.manual_seed(14)

STITCHES = "kpystmcwxz"


def shorthand():
    parts = [(random.choice(STITCHES), random.randint(1, 3)) for _ in range(random.randint(2, 4))]
    return "".join(f"{s}{n}" for s, n in parts), "".join(s * n for s, n in parts)


rows = list(dict.fromkeys(shorthand() for _ in range(4200)))
random.shuffle(rows)
cut = len(rows) - 400
train_src, train_tgt = [r[0] for r in rows[:cut]], [r[1] for r in rows[:cut]]
test_src, test_tgt = [r[0] for r in rows[cut:]], [r[1] for r in rows[cut:]]
print(len(train_src), "training rows, for example", train_src[0], "->", train_tgt[0])

PAD, START, END = 0, 1, 2


def to_ids(lines, vocab=None):
    if vocab is None:
        vocab = {"<pad>": PAD, "<start>": START, "<end>": END}
    width = max(len(line) for line in lines) + 2
    ids = torch.full((len(lines), width), PAD)
    for i, line in enumerate(lines):
        coded = [vocab.setdefault(ch, len(vocab)) for ch in line]
        ids[i, :len(coded) + 2] = torch.tensor([START] + coded + [END])
    return ids, vocab


x_train, src_vocab = to_ids(train_src)
y_train, tgt_vocab = to_ids(train_tgt)
x_test, _ = to_ids(test_src, src_vocab)
y_test, _ = to_ids(test_tgt, tgt_vocab)


class Speller(nn.Module):
    def __init__(self, n_src, n_tgt, dim=32, hidden=80):
        super().__init__()
        self.src_emb = nn.Embedding(n_src, dim, padding_idx=PAD)
        self.tgt_emb = nn.Embedding(n_tgt, dim, padding_idx=PAD)
        self.enc = nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.start = nn.Linear(2 * hidden, hidden)
        self.key = nn.Linear(2 * hidden, hidden)
        self.dec = nn.GRU(dim, hidden, batch_first=True)
        self.out = nn.Linear(2 * hidden, n_tgt)

    def encode(self, x):
        lengths = (x != PAD).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.src_emb(x), lengths, batch_first=True, enforce_sorted=False)
        memory, last = self.enc(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(memory, batch_first=True, total_length=x.size(1))
        state = torch.tanh(self.start(torch.cat([last[0], last[1]], dim=1))).unsqueeze(0)
        return self.key(memory), state

    def decode(self, y, state, memory, pad_mask):
        h, state = self.dec(self.tgt_emb(y), state)
        att = (h @ memory.transpose(1, 2)) / memory.size(2) ** 0.5
        att = att.masked_fill(pad_mask[:, None, :], float("-inf")).softmax(dim=2)
        return self.out(torch.cat([h, att @ memory], dim=2)), state


model = Speller(len(src_vocab), len(tgt_vocab))
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss(ignore_index=PAD)

for epoch in range(1, 7):
    model.train()
    total, batches = 0.0, 0
    for idx in torch.randperm(len(x_train)).split(48):
        x, y = x_train[idx], y_train[idx]
        memory, state = model.encode(x)
        logits, _ = model.decode(y[:, :-1], state, memory, x == PAD)
        loss = loss_fn(logits.flatten(0, 1), y[:, 1:].flatten())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        total, batches = total + loss.item(), batches + 1
    if epoch % 2 == 0:
        print(f"epoch {epoch}: loss {total / batches:.4f}")

model.eval()
with torch.no_grad():
    memory, state = model.encode(x_test)
    token = torch.full((len(x_test), 1), START)
    written = []
    for _ in range(y_test.size(1) - 1):
        logits, state = model.decode(token, state, memory, x_test == PAD)
        token = logits.argmax(2)
        written.append(token)
written = torch.cat(written, dim=1)
real = y_test[:, 1:] != PAD
print(f"stitches right on new rows: {((written == y_test[:, 1:]) & real).sum().item() / real.sum().item():.4f}")
