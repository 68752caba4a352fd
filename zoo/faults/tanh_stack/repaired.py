import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(52)
rng = np.random.default_rng(52)

X, y = load_digits(return_X_y=True)
X = X / 8.0 - 1.0
X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.3, random_state=52, stratify=y)
X_tr, X_te = (torch.tensor(a, dtype=torch.float32) for a in (X_tr, X_te))
y_tr, y_te = torch.tensor(y_tr), torch.tensor(y_te)

sizes = [64, 96, 96, 96, 10]
weights, biases = [], []
for n_in, n_out in zip(sizes[:-1], sizes[1:]):
    w = torch.randn(n_in, n_out) / n_in**0.5
    weights.append(w.requires_grad_())
    biases.append(torch.zeros(n_out, requires_grad=True))


def network(x):
    for w, b in zip(weights[:-1], biases[:-1]):
        x = torch.tanh(x @ w + b)
    return x @ weights[-1] + biases[-1]


def cross_entropy(scores, labels):
    logp = scores - scores.logsumexp(dim=1, keepdim=True)
    return -logp[torch.arange(len(labels)), labels].mean()


lr, beta = 0.05, 0.9
speed = [torch.zeros_like(p) for p in weights + biases]
for epoch in range(1, 16):
    order = rng.permutation(len(X_tr))
    mean_loss = 0.0
    for k in range(0, len(order), 40):
        rows = torch.from_numpy(order[k : k + 40])
        loss = cross_entropy(network(X_tr[rows]), y_tr[rows])
        grads = torch.autograd.grad(loss, weights + biases)
        with torch.no_grad():
            for p, v, g in zip(weights + biases, speed, grads):
                v.mul_(beta).add_(g)
                p.sub_(lr * v)
        mean_loss += loss.item() * len(rows) / len(order)
    if epoch % 5 == 0:
        with torch.no_grad():
            test_acc = (network(X_te).argmax(1) == y_te).float().mean().item()
        print(f"epoch {epoch} loss {mean_loss:.4f} test acc {test_acc:.4f}")
