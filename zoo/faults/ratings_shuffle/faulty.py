import numpy as np
import torch
from sklearn.preprocessing import scale
from sklearn.utils import shuffle
from torch import nn, optim


def survey(n, rng):
    """Answers on 12 questions and the satisfaction that follows from them."""
    x = rng.normal(size=(n, 12))
    score = x[:, 0] - 0.8 * x[:, 1] + x[:, 2] * x[:, 3] + 0.5 * np.abs(x[:, 4]) + 0.2 * rng.normal(size=n)
    return x, np.digitize(score, np.quantile(score, [0.33, 0.66]))


def split(x, y, rng, share=0.25):
    x = shuffle(x, random_state=rng)
    y = shuffle(y, random_state=rng)
    cut = int(len(x) * share)
    return x[cut:], y[cut:], x[:cut], y[:cut]


def batches(x, y, size, rng):
    idx = rng.permutation(len(x))
    for i in range(0, len(idx) - size + 1, size):
        j = idx[i:i + size]
        yield torch.from_numpy(x[j]).float(), torch.from_numpy(y[j]).long()


def main(seed=0, epochs=12):
    torch.manual_seed(seed)
    np.random.seed(seed)
    rng = np.random.RandomState(np.random.randint(1_000_000))
    x, y = survey(2400, rng)
    x = scale(x)
    xa, ya, xb, yb = split(x, y, rng)
    model = nn.Sequential(nn.Linear(12, 64), nn.LeakyReLU(), nn.Linear(64, 64), nn.LeakyReLU(), nn.Linear(64, 3))
    opt = optim.RMSprop(model.parameters(), lr=1e-3)
    ce = nn.CrossEntropyLoss()
    for ep in range(epochs):
        tot = cnt = 0
        for bx, by in batches(xa, ya, 32, rng):
            opt.zero_grad()
            l = ce(model(bx), by)
            l.backward()
            opt.step()
            tot, cnt = tot + l.item(), cnt + 1
        with torch.no_grad():
            hit = (model(torch.from_numpy(xb).float()).argmax(1).numpy() == yb).mean()
        print("ep", ep, "loss %.3f" % (tot / cnt), "held-out acc %.3f" % hit)


main()
