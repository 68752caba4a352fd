# sort posts of a campsite forum into six boards; features of several layers glued together
import random
import torch
import torch.nn as nn

torch.manual_seed(31)
random.seed(31)

BOARDS = ["water", "pitches", "kitchen", "animals", "wifi", "money"]
syll = "ba ke lo mi ru sta ten vo pra dis ond ing er al".split()


def words(n):
    out = set()
    while len(out) < n:
        out.add("".join(random.choice(syll) for _ in range(random.randint(2, 3))))
    return sorted(out)


pool = words(700)
random.shuffle(pool)
topic = {b: pool[i * 60:(i + 1) * 60] for i, b in enumerate(BOARDS)}
common = pool[360:]


def post():
    y = random.randrange(len(BOARDS))
    n = random.randint(12, 24)
    k = random.randint(3, 5)
    w = random.choices(topic[BOARDS[y]], k=k) + random.choices(common, k=n - k)
    if random.random() < 0.5:
        w += random.choices(topic[random.choice(BOARDS)], k=1)
    random.shuffle(w)
    return w, y


data = [post() for _ in range(4500)]
train, test = data[:3600], data[3600:]
vocab = {w: i + 2 for i, w in enumerate(sorted({w for d, _ in train for w in d}))}


def tensorize(rows, L=26):
    x = torch.zeros(len(rows), L, dtype=torch.long)
    for i, (w, _) in enumerate(rows):
        ids = [vocab.get(t, 1) for t in w][:L]
        x[i, :len(ids)] = torch.tensor(ids)
    return x, torch.tensor([y for _, y in rows])


xtr, ytr = tensorize(train)
xte, yte = tensorize(test)


class Encoder(nn.Module):
    def __init__(self, v, d=24, h=32):
        super().__init__()
        self.emb = nn.Embedding(v, d, padding_idx=0)
        self.conv = nn.Conv1d(d, h, 3, padding=1)
        self.mix = nn.Conv1d(h, h, 1)

    def forward(self, x):
        e = self.emb(x).transpose(1, 2)
        h = torch.relu(self.conv(e))
        return torch.relu(self.mix(h))


enc = Encoder(len(vocab) + 2)
taps = {}


def keep(name):
    def hook(module, inp, out):
        taps[name] = out.detach()
    return hook


enc.emb.register_forward_hook(keep("emb"))
enc.conv.register_forward_hook(keep("conv"))
enc.mix.register_forward_hook(keep("mix"))


def features(x):
    enc(x)
    m = (x != 0).float().unsqueeze(1)
    n = m.sum(2)
    e = taps["emb"].transpose(1, 2)
    pooled = [(t * m).sum(2) / n for t in (e, torch.relu(taps["conv"]), torch.relu(taps["mix"]))]
    return torch.cat(pooled, 1)


head = nn.Sequential(nn.Dropout(0.2), nn.Linear(24 + 32 + 32, len(BOARDS)))
opt = torch.optim.Adam(list(enc.parameters()) + list(head.parameters()), lr=2e-3)
lossf = nn.CrossEntropyLoss()


def accuracy(x, y):
    enc.eval(), head.eval()
    with torch.no_grad():
        a = (head(features(x)).argmax(1) == y).float().mean().item()
    enc.train(), head.train()
    return a


for ep in range(1, 11):
    tot = 0.0
    for b in torch.randperm(len(xtr)).split(48):
        loss = lossf(head(features(xtr[b])), ytr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    print(f"ep {ep}  loss {tot / len(xtr):.4f}  test {accuracy(xte, yte):.3f}")

print(f"test accuracy {accuracy(xte, yte):.4f}")
