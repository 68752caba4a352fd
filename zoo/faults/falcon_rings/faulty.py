# ringed falcons: sex and wing loading from one measuring sheet
import numpy as np
import torch
from torch import nn

torch.manual_seed(8)
np.random.seed(8)

N = 4000
sheet = np.random.randn(N, 10).astype(np.float32)
sheet[:, 4] += 0.5 * sheet[:, 3]
sheet[:, 9] += 0.5 * sheet[:, 0]
# beak ratio and tarsus work against each other
score = sheet[:, 0] * sheet[:, 1] + 0.8 * np.sin(2 * sheet[:, 2]) + 0.7 * sheet[:, 3] * sheet[:, 4]
sex = (score + 0.1 * np.random.randn(N) > 0).astype(np.int64)
load = np.abs(sheet[:, 5]) + sheet[:, 6] * sheet[:, 7] + 0.5 * np.cos(2 * sheet[:, 8]) + 0.1 * np.random.randn(N)

cut = 3200
m, s = sheet[:cut].mean(0), sheet[:cut].std(0)
lm, ls = load[:cut].mean(), load[:cut].std()
X = torch.from_numpy((sheet - m) / s)
S = torch.from_numpy(sex)
L = torch.from_numpy(((load - lm) / ls).astype(np.float32))

H = 96
trunk = nn.Sequential(nn.Linear(10, H), nn.ReLU(), nn.Linear(H, H), nn.ReLU())
head_sex = nn.Linear(H, 2)
head_load = nn.Linear(H, 1)
params = [*trunk.parameters(), *head_sex.parameters(), *head_load.parameters()]
opt = torch.optim.Adam(params, lr=1.5e-3, weight_decay=1e-4)
ce, mse = nn.CrossEntropyLoss(), nn.MSELoss()


def batches(n, size):
    order = np.random.permutation(n)
    for k in range(0, n - size + 1, size):
        yield torch.from_numpy(order[k:k + size])


def task_grads(loss, limit=2.0):
    """gradient of one task, clipped on its own so that no task drowns the other"""
    gs = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
    norm = torch.sqrt(sum((g ** 2).sum() for g in gs if g is not None))
    f = min(1.0, limit / (norm.item() + 1e-8))
    return [None if g is None else g * f for g in gs]


def scores():
    for mod in (trunk, head_sex, head_load):
        mod.eval()
    with torch.no_grad():
        h = trunk(X[cut:])
        acc = (head_sex(h).argmax(1) == S[cut:]).float().mean().item()
        r2 = 1 - ((head_load(h)[:, 0] - L[cut:]) ** 2).mean().item() / L[cut:].var().item()
    for mod in (trunk, head_sex, head_load):
        mod.train()
    return acc, r2


for ep in range(1, 31):
    run = [0.0, 0.0]
    nb = 0
    for b in batches(cut, 64):
        h = trunk(X[b])
        losses = [ce(head_sex(h), S[b]), mse(head_load(h)[:, 0], L[b])]
        opt.zero_grad()
        for loss in losses:
            for p, g in zip(params, task_grads(loss)):
                if g is not None:
                    p.grad = g
        opt.step()
        nb += 1
        for i, loss in enumerate(losses):
            run[i] += loss.item()
    if ep % 5 == 0:
        acc, r2 = scores()
        print(f"{ep:3d}  ce {run[0] / nb:.3f}  mse {run[1] / nb:.3f}  sex acc {acc:.3f}  load r2 {r2:.3f}")

acc, r2 = scores()
print("most frequent sex:", round(max(S[cut:].float().mean().item(), 1 - S[cut:].float().mean().item()), 3))
print(f"wing load r2 {r2:.4f}")
print(f"sex accuracy {acc:.4f}")
