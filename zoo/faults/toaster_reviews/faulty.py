# thumbs up / down for toaster reviews, small text CNN
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from collections import Counter

torch.manual_seed(21)
rng = np.random.default_rng(21)

# ---------- reviews ----------
GOOD = "good great reliable sturdy quick lovely solid perfect handy useful even crisp".split()
BAD = "bad flimsy slow awful noisy cheap useless burnt broken ugly uneven smelly".split()
PARTS = "toaster lever cable tray slot timer dial box finish toast button grill".split()
FILL = ["i bought this for my mother", "it came in the post on monday", "we have two of these at home",
        "the box was on the table", "this is the second one of the year", "my wife uses it with the bagels",
        "it is in the kitchen now", "they had it in the shop for a week", "ordered it from the website"]
NEG = ["is not", "was not", "is never", "was never"]
POS = ["is", "was", "is very", "is really", "was so"]


def claim(up):
    flip = rng.random() < 0.4
    word = rng.choice(GOOD if up != flip else BAD)
    return f"the {rng.choice(PARTS)} {rng.choice(NEG if flip else POS)} {word}"


def review():
    y = int(rng.random() < 0.5)
    parts = [claim(bool(y)) for _ in range(rng.integers(1, 3))]
    parts += list(rng.choice(FILL, rng.integers(1, 4), replace=False))
    rng.shuffle(parts)
    return " . ".join(parts), y


rows = [review() for _ in range(5000)]
texts = [r[0] for r in rows]
labels = np.array([r[1] for r in rows])

# ---------- cleaning ----------
STOP = set("""i me my we our you your it its this that these those they the a an and or of to in on at by for
with from is was are be been have has had do does did so very really no not nor never now one two came""".split())


def clean(s):
    return [w for w in s.lower().replace(".", " ").split() if w not in STOP]


docs = [clean(s) for s in texts]
n_tr = 4000
counts = Counter(w for d in docs[:n_tr] for w in d)
vocab = {w: i + 2 for i, (w, c) in enumerate(counts.most_common()) if c >= 3}
MAXLEN = max(len(d) for d in docs[:n_tr])


def encode(d):
    ids = [vocab.get(w, 1) for w in d][:MAXLEN]
    return ids + [0] * (MAXLEN - len(ids))


X = torch.tensor([encode(d) for d in docs])
Y = torch.tensor(labels, dtype=torch.float32)


class TextCNN(nn.Module):
    def __init__(self, v, d=32, c=48):
        super().__init__()
        self.emb = nn.Embedding(v, d, padding_idx=0)
        self.conv = nn.Conv1d(d, c, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(c, 1)

    def forward(self, x):
        h = self.emb(x).transpose(1, 2)
        h = F.relu(self.conv(h)).amax(2)
        return self.out(self.drop(h)).squeeze(1)


class Trainer:
    def __init__(self, net, lr=1e-3, bs=50):
        self.net, self.bs = net, bs
        self.opt = torch.optim.Adam(net.parameters(), lr=lr)
        self.loss = nn.BCEWithLogitsLoss()

    def epoch(self, x, y):
        self.net.train()
        tot = 0.0
        for j in torch.randperm(len(x)).split(self.bs):
            self.opt.zero_grad()
            l = self.loss(self.net(x[j]), y[j])
            l.backward()
            self.opt.step()
            tot += l.item() * len(j)
        return tot / len(x)

    @torch.no_grad()
    def score(self, x, y):
        self.net.eval()
        return ((self.net(x) > 0).float() == y).float().mean().item()

    def fit(self, x, y, xv, yv, epochs):
        for e in range(epochs):
            l = self.epoch(x, y)
            print(f"epoch {e + 1}: loss {l:.4f}  train {self.score(x, y):.3f}  test {self.score(xv, yv):.3f}")


net = TextCNN(len(vocab) + 2)
print("vocabulary", len(vocab), "longest", MAXLEN)
tr = Trainer(net)
tr.fit(X[:n_tr], Y[:n_tr], X[n_tr:], Y[n_tr:], 8)
print(f"test accuracy {tr.score(X[n_tr:], Y[n_tr:]):.4f}")
