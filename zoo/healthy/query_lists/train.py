import numpy as np
import torch
from torch import nn

# Learning to rank: each query has 5 to 20 documents with grades 0..4. ListNet compares two distributions over the
# documents of a query: the one that the grades give and the one that the scores give.
WIDTH, MOST, FEATURES = 32, 20, 12


def make_queries(n, rng):
    feats = rng.normal(0, 1, (n, MOST, FEATURES)).astype(np.float32)
    feats += rng.normal(0, 1, (n, 1, FEATURES)).astype(np.float32)  # queries differ in all their documents
    counts = rng.integers(5, MOST + 1, n)
    real = np.arange(MOST)[None] < counts[:, None]
    centred = feats - (feats * real[..., None]).sum(1, keepdims=True) / counts[:, None, None]
    worth = centred[..., 0] + np.tanh(2 * centred[..., 1]) * centred[..., 2] + 0.8 * np.abs(centred[..., 3])
    worth += rng.normal(0, 0.3, worth.shape)
    grades = np.digitize(worth, [-0.5, 0.5, 1.5, 2.5])
    feats[~real] = 0
    grades[~real] = 0
    return torch.tensor(feats), torch.tensor(grades, dtype=torch.float32), torch.tensor(real)


def ndcg(scores, grades, real, k=5):
    order = scores.masked_fill(~real, -torch.inf).argsort(1, descending=True)[:, :k]
    discount = 1 / torch.log2(torch.arange(2, k + 2).float())
    gain = lambda g: ((2**g - 1) * discount).sum(1)
    ideal = gain(grades.sort(1, descending=True).values[:, :k])
    got = gain(grades.gather(1, order))
    return (got[ideal > 0] / ideal[ideal > 0]).mean().item()


def make_ranker():
    net = nn.Sequential(
        nn.Linear(2 * FEATURES, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1, bias=False)
    )

    def score(feats, real):
        count = real.sum(1)[:, None, None]
        centred = feats - feats.sum(1, keepdim=True) / count
        return net(torch.cat([feats, centred], -1)).squeeze(-1)

    return net, score


def listwise(scores, grades, real):
    away = ~real
    wanted = grades.masked_fill(away, -torch.inf).softmax(dim=1)
    logp = scores.masked_fill(away, -torch.inf).log_softmax(dim=1).masked_fill(away, 0.0)
    return -(wanted * logp).sum(1).mean()


def learn(score, params, data, test, epochs, size=40):
    opt = torch.optim.Adam(params, lr=3e-3)
    for epoch in range(1, epochs + 1):
        seen = []
        for rows in torch.randperm(len(data[0])).split(size):
            feats, grades, real = (part[rows] for part in data)
            loss = listwise(score(feats, real), grades, real)
            opt.zero_grad()
            loss.backward()
            opt.step()
            seen.append(loss.item())
        if epoch % 3 == 0:
            with torch.no_grad():
                quality = ndcg(score(test[0], test[2]), *test[1:])
            yield epoch, sum(seen) / len(seen), quality


np.random.seed(67)
torch.manual_seed(67)
rng = np.random.default_rng(np.random.randint(10**6))
train, test = make_queries(1000, rng), make_queries(300, rng)
net, score = make_ranker()
floor = listwise(train[1], train[1], train[2]).item()
with torch.no_grad():
    print(f"no loss below {floor:.3f}; untrained NDCG@5 {ndcg(score(test[0], test[2]), *test[1:]):.3f}")
for epoch, loss, quality in learn(score, net.parameters(), train, test, epochs=15):
    print(f"epoch {epoch} loss {loss:.4f} NDCG@5 {quality:.4f}")
