"""Which language layer does a valley name belong to? (substrate, Romance, Bavarian, Slavic)

Field names were collected from land registers; spelling is normalised. A GRU reads the letters, and its last
state is projected on the four layers.
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(318)
random.seed(318)

LAYERS = {
    "substrate": (["ar", "is", "an", "un", "er"], ["rn", "nd", "st", "sk"], ["a", "s", "ant"]),
    "romance": (["va", "mon", "pra", "ca", "fon"], ["l", "t", "n", "r"], ["ina", "oi", "ura", "eda"]),
    "bavarian": (["ach", "berg", "stein", "wald", "ober"], ["n", "r", "s", "l"], ["ing", "au", "egg"]),
    "slavic": (["gra", "tre", "lo", "bis", "sel"], ["d", "z", "v", "p"], ["ica", "ach", "itz", "ova"]),
}
ALPHABET = {c: i + 1 for i, c in enumerate("abcdefghijklmnopqrstuvwxyz")}   # 0 is padding


def coin_name(layer):
    roots, links, tails = LAYERS[layer]
    name = random.choice(roots)
    for _ in range(random.randint(0, 2)):
        name += random.choice(links) + random.choice("aeiou" if random.random() < 0.5 else "ai")
    name += random.choice(links) + random.choice(tails)
    if random.random() < 0.2:                           # scribal variant: one letter replaced
        k = random.randrange(len(name))
        name = name[:k] + random.choice("abcdefghijklmnopqrstuvwxyz") + name[k + 1:]
    return name


def register(n):
    names, y = [], []
    for _ in range(n):
        k = random.randrange(len(LAYERS))
        names.append([ALPHABET[c] for c in coin_name(list(LAYERS)[k])])
        y.append(k)
    L = torch.tensor([len(s) for s in names])
    X = torch.zeros(n, int(L.max()), dtype=torch.long)
    for i, s in enumerate(names):
        X[i, :len(s)] = torch.tensor(s)
    return X, L, torch.tensor(y)


class NameReader(nn.Module):
    def __init__(self, n_letters, d_e, d_h, n_layers):
        super().__init__()
        self.E = nn.Embedding(n_letters, d_e, padding_idx=0)
        self.gru = nn.GRU(d_e, d_h, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.W = nn.Linear(d_h, n_layers)

    def forward(self, X, L):
        L_sorted, order = torch.sort(L, descending=True)
        packed = nn.utils.rnn.pack_padded_sequence(self.E(X[order]), L_sorted, batch_first=True)
        _, h = self.gru(packed)
        h = h[-1][torch.argsort(order)]
        return self.W(self.drop(h))


def evaluate(model, X, L, y):
    model.eval()
    with torch.no_grad():
        logits = model(X, L)
    return (logits.argmax(1) == y).float().mean().item()


X_tr, L_tr, y_tr = register(2400)
X_te, L_te, y_te = register(600)
print("names", len(y_tr), "longest", int(L_tr.max()), "per layer", torch.bincount(y_tr).tolist())

model = NameReader(len(ALPHABET) + 1, d_e=16, d_h=48, n_layers=len(LAYERS))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
m = 40
for epoch in range(12):
    model.train()
    perm = torch.randperm(len(y_tr))
    total = 0.0
    for j in range(len(perm) // m):
        rows = perm[j * m:(j + 1) * m]
        loss = F.cross_entropy(model(X_tr[rows], L_tr[rows]), y_tr[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        total += loss.item()
    if epoch % 3 == 2:
        print(f"epoch {epoch + 1:2d}  loss {total / (len(perm) // m):.4f}")

print(f"majority layer {torch.bincount(y_te).max().item() / len(y_te):.3f}")
print(f"test accuracy {evaluate(model, X_te, L_te, y_te):.4f}")
