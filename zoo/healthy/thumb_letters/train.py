"""A stream of typed letters is put right letter by letter: four in a hundred are neighbours on the keyboard."""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
V = 26
follow = torch.distributions.Dirichlet(torch.full((V,), 0.05)).sample((V,))


def make(n, length=24):
    ids = [torch.randint(0, V, (n,))]
    for _ in range(length - 1):
        ids.append(torch.multinomial(follow[ids[-1]], 1).squeeze(1))
    true = torch.stack(ids, 1)
    typo = torch.rand(n, length) < 0.04
    typed = torch.where(typo, (true + 1) % V, true)
    return typed, true


class Corrector(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.emb = nn.Embedding(V, d)
        self.rnn = nn.GRU(d, d, batch_first=True)
        self.out = nn.Linear(d, V)

    def forward(self, ids):
        return self.out(self.rnn(self.emb(ids))[0])


net = Corrector()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
xt, yt = make(300)
for step in range(400):
    x, y = make(32)
    loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 80 == 79:
        with torch.no_grad():
            guess = net(xt).argmax(-1)
        wrong = xt != yt
        print(
            f"step {step + 1} loss {loss.item():.3f} typos put right {(guess == yt)[wrong].float().mean():.3f} "
            f"letters spoiled {(guess != yt)[~wrong].float().mean():.4f}"
        )
