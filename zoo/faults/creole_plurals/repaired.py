"""Plural formation in a (constructed) creole: partial reduplication, raising of the last vowel, harmonic suffix.

   bakelo -> babakelu+ru      tisane -> titisani+ri
Question: does an encoder-decoder induce the whole alternation from a few thousand stem / plural pairs?
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(41)
random.seed(41)

C, V = "ptkbdgmnlsr", "aeiou"
RAISE = {"a": "e", "e": "i", "o": "u", "i": "i", "u": "u"}
BOS, EOS = 0, 1
SYMBOLS = {s: i + 2 for i, s in enumerate(C + V)}
N_SYM = len(SYMBOLS) + 2


def stem():
    return "".join(random.choice(C) + random.choice(V) for _ in range(3))


def plural(s):
    raised = s[:-1] + RAISE[s[-1]]
    return s[:2] + raised + ("ru" if raised[-1] in "uo" else "ri")


def encode(word):
    return [SYMBOLS[c] for c in word]


def lexicon(n):
    stems = set()
    while len(stems) < n:
        stems.add(stem())
    stems = sorted(stems)
    random.shuffle(stems)
    S = torch.tensor([encode(s) for s in stems])
    P = torch.tensor([encode(plural(s)) + [EOS] for s in stems])
    return S, P


class Inflector(nn.Module):
    """GRU encoder, GRU decoder with dot-product attention a_t = softmax(H d_t)."""

    def __init__(self, n_sym, d_e, d_h):
        super().__init__()
        self.E = nn.Embedding(n_sym, d_e)
        self.enc = nn.GRU(d_e, d_h // 2, batch_first=True, bidirectional=True)
        self.dec = nn.GRU(d_e, d_h, batch_first=True)
        self.W_o = nn.Linear(2 * d_h, n_sym)

    def encode(self, S):
        H, h = self.enc(self.E(S))
        return H, torch.cat([h[0], h[1]], dim=1)[None].contiguous()

    def decode(self, y, H, state):
        D, state = self.dec(self.E(y), state)
        A = torch.softmax(D @ H.transpose(1, 2), dim=2)
        return self.W_o(torch.cat([D, A @ H], dim=2)), state

    def forward(self, S, P):
        H, h = self.encode(S)
        y_in = torch.cat([torch.full((len(S), 1), BOS), P[:, :-1]], dim=1)
        return self.decode(y_in, H, h)[0]

    @torch.no_grad()
    def inflect(self, S, n_max):
        H, h = self.encode(S)
        y = torch.full((len(S), 1), BOS)
        out = []
        for _ in range(n_max):
            logits, h = self.decode(y, H, h)
            y = logits.argmax(2)
            out.append(y)
        return torch.cat(out, dim=1)


def accuracy(model, S, P):
    model.eval()
    hit = model.inflect(S, P.shape[1]) == P
    return hit.all(1).float().mean().item(), hit.float().mean().item()


S, P = lexicon(3400)
S_tr, P_tr, S_te, P_te = S[:3000], P[:3000], S[3000:], P[3000:]
model = Inflector(N_SYM, d_e=24, d_h=64)

# hyperbolic annealing, eta(k) = eta_0 / (1 + k / k_0)
eta_0, k_0 = 5e-3, 300.0
optimizer = torch.optim.Adam(model.parameters(), lr=eta_0)
annealing = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1.0 / (1.0 + k / k_0))

batch, k = 64, 0
for epoch in range(7):
    model.train()
    order = torch.randperm(len(S_tr))
    running = 0.0
    for start in range(0, len(order) - batch + 1, batch):
        rows = order[start:start + batch]
        logits = model(S_tr[rows], P_tr[rows])
        loss = F.cross_entropy(logits.reshape(-1, N_SYM), P_tr[rows].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        annealing.step()
        running += loss.item()
        k += 1
    if epoch % 2 == 1:
        print(f"epoch {epoch + 1:2d}  step {k}  cross-entropy {running / (len(order) // batch):.4f}")

words, letters = accuracy(model, S_te, P_te)
print(f"letters correct {letters:.4f}")
print(f"plurals correct {words:.4f}")
