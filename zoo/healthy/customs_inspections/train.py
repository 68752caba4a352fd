# Which parcels should customs open?  Neyman-Pearson training: catch as many smuggled parcels as possible
# while at most 5 % of honest parcels are opened.  The multiplier ascends, the network descends.
import numpy as np
import torch
import torch.nn.functional as F

BUDGET = 0.05
torch.manual_seed(8)
rng = np.random.default_rng(8)


def parcels(n):
    """Declared value, weight, distance, sender history...; smuggled parcels are 12 %, of three kinds."""
    y = rng.random(n) < 0.12
    kind = rng.integers(0, 3, n)
    x = rng.normal(size=(n, 8))
    x[:, 1] = 0.7 * x[:, 0] + 0.7 * x[:, 1]
    a, b, c = (y & (kind == k) for k in range(3))
    x[a, 0] += 2.2; x[a, 1] -= 1.8                               # dear for their weight
    x[b, 2] = rng.choice([-1, 1], b.sum()) * rng.normal(2.3, 0.5, b.sum())
    x[b, 3] = rng.choice([-1, 1], b.sum()) * rng.normal(2.3, 0.5, b.sum())
    x[c, 4:7] += 1.7
    x[:, 5] = np.exp(0.5 * x[:, 5])
    return x, y.astype(np.float32)


def tensors(n, mean=None, std=None):
    x, y = parcels(n)
    if mean is None:
        mean, std = x.mean(0), x.std(0)
    return torch.as_tensor((x - mean) / std, dtype=torch.float32), torch.as_tensor(y), mean, std


xtr, ytr, mean, std = tensors(8000)
xte, yte, *_ = tensors(6000, mean, std)


def init(sizes):
    layers = []
    for i, o in zip(sizes, sizes[1:]):
        w = torch.empty(o, i)
        torch.nn.init.kaiming_normal_(w, nonlinearity="relu")
        layers += [w.requires_grad_(), torch.zeros(o, requires_grad=True)]
    return layers


def score(p, x):
    x = F.relu(F.linear(x, p[0], p[1]))
    x = F.relu(F.linear(x, p[2], p[3]))
    return F.linear(x, p[4], p[5]).squeeze(1)


@torch.no_grad()
def rates(p, x, y):
    opened = score(p, x) > 0
    return opened[y == 1].float().mean().item(), opened[y == 0].float().mean().item()


def minibatches(size):
    order = torch.randperm(len(xtr))
    for idx in order[: len(order) // size * size].view(-1, size):
        yield xtr[idx], ytr[idx]


def train_constrained(epochs=24):
    p = init([8, 48, 24, 1])
    lam = torch.tensor(1.0, requires_grad=True)
    descend = torch.optim.Adam(p, lr=2e-3, weight_decay=1e-5)
    ascend = torch.optim.SGD([lam], lr=1.0, maximize=True)
    fade = torch.optim.lr_scheduler.CosineAnnealingLR(descend, epochs * (len(xtr) // 250), eta_min=1e-5)
    cool = torch.optim.lr_scheduler.CosineAnnealingLR(ascend, epochs * (len(xtr) // 250), eta_min=0.02)
    for epoch in range(epochs):
        seen = []
        for x, y in minibatches(250):
            s = score(p, x)
            missed = F.softplus(-s[y == 1]).mean()
            alarm = F.softplus(s[y == 0]).mean()                 # smooth stand-in, moves the network
            rate = (s[y == 0] > 0).float().mean()                # the real constraint, moves the multiplier
            descend.zero_grad()
            (missed + lam.detach() * alarm).backward()
            descend.step()

            ascend.zero_grad()
            (lam * (rate - BUDGET)).backward()
            ascend.step()
            with torch.no_grad():
                lam.clamp_(min=0.0)
            fade.step(), cool.step()
            seen.append((missed.item(), (missed + lam * alarm).item(), rate.item()))
        if epoch % 4 == 3:
            m, total, r = np.mean(seen, 0)
            print(f"epoch {epoch + 1:2d}  missed {m:.3f}  lagrangian {total:.3f}  opened {r:.3f}  lambda {lam.item():.2f}")
    return p


def train_plain(epochs=12):
    p = init([8, 48, 24, 1])
    opt = torch.optim.Adam(p, lr=2e-3, weight_decay=1e-5)
    for _ in range(epochs):
        for x, y in minibatches(250):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(score(p, x), y).backward()
            opt.step()
    return p


plain = rates(train_plain(), xte, yte)
caught, opened = rates(train_constrained(), xte, yte)
print(f"plain cross-entropy: caught {plain[0]:.3f} with {plain[1]:.3f} of the honest parcels opened")
print(f"constrained:         caught {caught:.3f} with {opened:.3f} of the honest parcels opened (budget {BUDGET}; blind picks catch {opened:.3f})")
