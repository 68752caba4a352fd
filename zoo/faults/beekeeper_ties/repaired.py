# Who among the beekeepers treats the hives in autumn? Known for a third of the members,
# to be inferred for the others from who knows whom. Survey codes: 1 = no, 2 = yes.
import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(5)
torch.manual_seed(5)


def survey(n=450, districts=6):
    district = rng.integers(0, districts, n)
    habit = rng.permutation(districts) % 2
    treats = np.where(rng.random(n) < 0.88, habit[district], 1 - habit[district])
    code = treats + 1
    together = district[:, None] == district[None, :]
    same_answer = treats[:, None] == treats[None, :]
    p = 0.004 + 0.05 * together + 0.012 * same_answer
    upper = np.triu(rng.random((n, n)) < p, 1)
    ties = (upper | upper.T).astype(np.float32)
    hives = rng.poisson(6 + 2 * treats)
    years = rng.gamma(3, 4, n) + 2 * (1 - treats)
    losses = rng.normal(0.22 - 0.04 * treats, 0.09)
    features = np.stack([hives, years, losses], 1).astype(np.float32)
    return features, ties, code


def propagation(ties):
    a = torch.from_numpy(ties) + torch.eye(len(ties))
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d[None, :]


def init(fan_in, fan_out):
    w = torch.empty(fan_in, fan_out)
    torch.nn.init.xavier_uniform_(w)
    return w.requires_grad_()


def forward(params, x, a, drop=0.0):
    w1, b1, w2, b2 = params
    h = F.relu(a @ (x @ w1) + b1)
    h = F.dropout(h, drop, training=drop > 0)
    return (a @ (h @ w2) + b2).squeeze(1)


features, ties, code = survey()
n = len(code)
order = rng.permutation(n)
train, valid, test = order[:150], order[150:220], order[220:]

x = torch.from_numpy((features - features[train].mean(0)) / features[train].std(0))
a = propagation(ties)
y = torch.tensor(code - 1, dtype=torch.float32)
says_yes = torch.from_numpy(code == 2)

params = [init(3, 16), torch.zeros(16, requires_grad=True), init(16, 1), torch.zeros(1, requires_grad=True)]
opt = torch.optim.Adam(params, lr=0.01, weight_decay=5e-4)


def hit_rate(rows):
    with torch.no_grad():
        p = torch.sigmoid(forward(params, x, a))[rows]
    return ((p > 0.5) == says_yes[rows]).float().mean().item()


for step in range(1, 401):
    logits = forward(params, x, a, drop=0.3)
    loss = F.binary_cross_entropy_with_logits(logits[train], y[train])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 80 == 0:
        print(f"step {step:4d}  loss {loss.item():8.4f}  known members {hit_rate(train):.3f}  valid {hit_rate(valid):.3f}")

yes_share = says_yes[test].float().mean().item()
print(f"{int(ties.sum() / 2)} ties, yes share among the test members {yes_share:.3f}")
print(f"test hit rate: {hit_rate(test):.4f}")
