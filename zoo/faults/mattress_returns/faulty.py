# web shop, mattresses: will it come back, and how many nights was it kept
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(3)
np.random.seed(3)

# -- orders --------------------------------------------------------------
n = 5000
age = np.random.uniform(20, 80, n)
weight = np.random.normal(78, 14, n)
firm = np.random.randint(1, 6, n)
price = np.random.gamma(4, 120, n) + 80
prev = np.random.poisson(1.2, n)
side = np.random.rand(n)
rain = np.random.randn(n)

wish = 1 + 4 / (1 + np.exp(-(weight - 78) / 10)) - 0.02 * (age - 50) + 0.8 * (side - 0.5)
misfit = np.abs(firm - wish)
p = 1 / (1 + np.exp(-(3.5 * misfit - 4.5 + 0.5 * (prev - 1.2))))
back = (np.random.rand(n) < p).astype(np.float32)
nights = 30 * np.exp(-0.6 * misfit) + 0.01 * price + np.random.randn(n) * 1.0

X = np.column_stack([age, weight, firm, np.log(price), prev, side, rain])
perm = np.random.permutation(n)
X, back, nights = X[perm], back[perm], nights[perm]
ntr = 4000
X = (X - X[:ntr].mean(0)) / X[:ntr].std(0)
nm, ns = nights[:ntr].mean(), nights[:ntr].std()

X = torch.tensor(X, dtype=torch.float32)
yb = torch.tensor(back)
yn = torch.tensor((nights - nm) / ns, dtype=torch.float32)

# -- nets ----------------------------------------------------------------
body = nn.Sequential(nn.Linear(7, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
tasks = nn.ModuleDict({"back": nn.Linear(64, 1), "nights": nn.Linear(64, 1)})

# the body gets plain SGD, the small heads Adam
opt_body = torch.optim.SGD(body.parameters(), lr=0.05, momentum=0.9)
opt_heads = torch.optim.Adam(tasks.parameters(), lr=1e-3)
bce = nn.BCEWithLogitsLoss()
mse = nn.MSELoss()


def step(xb, bb, nb):
    h = body(xb)
    l1 = bce(tasks["back"](h)[:, 0], bb)
    l2 = mse(tasks["nights"](h)[:, 0], nb)
    opt_heads.zero_grad()
    (l1 + l2).backward()
    opt_body.step()
    opt_heads.step()
    return l1.item(), l2.item()


def evaluate():
    body.eval()
    tasks.eval()
    with torch.no_grad():
        h = body(X[ntr:])
        acc = ((tasks["back"](h)[:, 0] > 0).float() == yb[ntr:]).float().mean().item()
        err = (tasks["nights"](h)[:, 0] - yn[ntr:]).pow(2).mean()
        r2 = 1 - (err / yn[ntr:].var()).item()
    body.train()
    tasks.train()
    return acc, r2


# -- loop ----------------------------------------------------------------
bs = 50
for ep in range(15):
    order = torch.randperm(ntr)
    log = []
    for i in range(ntr // bs):
        k = order[i * bs:(i + 1) * bs]
        log.append(step(X[k], yb[k], yn[k]))
    a, r = evaluate()
    m = np.mean(log, 0)
    print(f"{ep + 1:2d} | back {m[0]:.3f} | nights {m[1]:.3f} | acc {a:.3f} | r2 {r:.3f}")

a, r = evaluate()
print("share of returns", round(yb[ntr:].mean().item(), 3))
print(f"nights r2 {r:.4f}")
print(f"return accuracy {a:.4f}")
