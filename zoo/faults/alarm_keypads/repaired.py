# service codes typed on alarm keypads: the panel answers with the mirrored, shifted code
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(14)
rng = np.random.default_rng(14)

L = 5            # digits per code
GO = 10          # start symbol of the answer


def answer(code):
    # mirrored, every digit moved on by its key column
    return [(d + d % 3) % 10 for d in code[::-1]]


codes = rng.integers(0, 10, (6000, L))
codes = np.unique(codes, axis=0)
rng.shuffle(codes)
replies = np.array([answer(list(c)) for c in codes])
src, dst = torch.tensor(codes), torch.tensor(replies)
n_test = 800
s_tr, d_tr, s_te, d_te = src[n_test:], dst[n_test:], src[:n_test], dst[:n_test]


class Seq2Seq(nn.Module):
    def __init__(self, e=24, h=64):
        super().__init__()
        self.emb_in = nn.Embedding(10, e)
        self.emb_out = nn.Embedding(11, e)
        self.enc = nn.GRU(e, h, batch_first=True, bidirectional=True)
        self.dec = nn.GRU(e, h, batch_first=True)
        self.bridge = nn.Linear(2 * h, h)
        self.key = nn.Linear(2 * h, h)
        self.out = nn.Linear(3 * h, 10)

    def encode(self, s):
        m, hn = self.enc(self.emb_in(s))
        h0 = torch.tanh(self.bridge(torch.cat([hn[0], hn[1]], 1))).unsqueeze(0)
        return m, h0

    def decode(self, prev, m, h):
        o, h = self.dec(self.emb_out(prev), h)
        w = torch.softmax(o @ self.key(m).transpose(1, 2) / 8.0, -1)
        return self.out(torch.cat([o, w @ m], -1)), h

    def forward(self, s, d):
        m, h = self.encode(s)
        go = torch.full((len(s), 1), GO)
        z, _ = self.decode(torch.cat([go, d[:, :-1]], 1), m, h)
        return z

    @torch.no_grad()
    def reply(self, s):
        m, h = self.encode(s)
        tok = torch.full((len(s), 1), GO)
        out = []
        for _ in range(L):
            z, h = self.decode(tok, m, h)
            tok = z[:, -1:].argmax(-1)
            out.append(tok)
        return torch.cat(out, 1)


net = Seq2Seq()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()


def check():
    net.eval()
    r = net.reply(s_te)
    net.train()
    return (r == d_te).float().mean().item(), (r == d_te).all(1).float().mean().item()


step = 0
for epoch in range(8):
    tot, nb = 0.0, 0
    for b in torch.randperm(len(s_tr)).split(64):
        def closure():
            opt.zero_grad()
            z = net(s_tr[b], d_tr[b])
            loss = criterion(z.reshape(-1, 10), d_tr[b].reshape(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            return loss

        tot += opt.step(closure).item()
        nb += 1
    digit, whole = check()
    print(f"epoch {epoch + 1}  loss {tot / nb:.4f}  digits {digit:.3f}  whole codes {whole:.3f}")

digit, whole = check()
print(f"digit accuracy {digit:.4f}")
print(f"whole code accuracy {whole:.4f}")
