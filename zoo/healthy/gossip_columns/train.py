"""Gossip columns filed by topic by tired interns: 35 % of the training labels are wrong (uniformly).

Generalised cross-entropy (Zhang & Sabuncu 2018), (1 - p^q) / q with q = 0.7, and a flooding floor
|loss - b| + b so that the net is not pushed to fit what is known to be wrong; under the floor the
gradient changes sign on purpose.  The training accuracy *should* end near 65 %.
"""
import os
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
TOPICS, WORDS, LENGTH, WRONG, Q, N = 8, 400, 30, 0.35, 0.7, 10000

base = torch.rand(WORDS) ** 2 + 0.05
tilt = torch.stack([base * torch.exp(1.1 * torch.randn(WORDS) * (torch.rand(WORDS) < 0.25)) for _ in range(TOPICS)])
tilt = tilt / tilt.sum(1, keepdim=True)


def columns(n):
    y = torch.randint(TOPICS, (n,))
    words = torch.multinomial(tilt[y], LENGTH, replacement=True)
    return words, y


class Bag(nn.Module):
    """Linear in the word counts, which is what the source is; starts with no opinion at all."""
    def __init__(self):
        super().__init__()
        self.weight = nn.EmbeddingBag(WORDS, TOPICS, mode="sum")
        nn.init.zeros_(self.weight.weight)
        self.bias = nn.Parameter(torch.zeros(TOPICS))

    def forward(self, words):
        return self.weight(words) + self.bias


def gce(logits, y):
    p = logits.softmax(1).gather(1, y[:, None]).squeeze(1)
    return ((1 - p.clamp(min=1e-6) ** Q) / Q).mean()


# what a perfect reader would score: p = 1 on the right 65 %, 0 on the rest
FLOOR = WRONG * (1 / Q)


def flooded(loss):
    return (loss - 0.85 * FLOOR).abs() + 0.85 * FLOOR


@torch.no_grad()
def accuracy(net, words, y):
    net.eval()
    a = (net(words).argmax(1) == y).float().mean().item()
    net.train()
    return a


def fit(loss_fn, words, y, test, epochs, verbose):
    net = Bag()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for ep in range(1, epochs + 1):
        tot = 0.0
        for i in torch.randperm(len(y)).split(100):
            loss = loss_fn(net(words[i]), y[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item()
        if verbose and ep % 5 == 0:
            print(f"epoch {ep} loss {tot / -(-len(y) // 100):.4f} on given labels {accuracy(net, words, y):.3f} "
                  f"on true {accuracy(net, *test):.3f}")
    return net


words, truth = columns(N)
wrong = torch.rand(N) < WRONG
given = torch.where(wrong, (truth + torch.randint(1, TOPICS, (N,))) % TOPICS, truth)
test = columns(2000)                                         # checked by the editor: right labels
logp = tilt.log()
bayes = (logp[:, test[0]].sum(2).argmax(0) == test[1]).float().mean().item()
print(f"{(given != truth).float().mean():.3f} of the filed topics are wrong; floor of the loss {FLOOR:.3f}")
plain = fit(F.cross_entropy, words, given, test, 15, verbose=False)
print(f"plain cross-entropy, same length: on given {accuracy(plain, words, given):.3f} on true {accuracy(plain, *test):.3f}")
net = fit(lambda o, t: flooded(gce(o, t)), words, given, test, 15, verbose=True)
print(f"test accuracy {accuracy(net, *test):.3f}, the best possible {bayes:.3f}")
