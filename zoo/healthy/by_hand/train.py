# Two-layer network without nn.Module and without an optimizer, to see what happens inside.
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch.autograd import Variable

torch.manual_seed(14)
np.random.seed(14)

data = load_breast_cancer()
X = data.data.astype(np.float32)
y = data.target.astype(np.float32)
perm = np.random.permutation(len(X))
X, y = X[perm], y[perm]
n_train = 400
mu, sd = X[:n_train].mean(0), X[:n_train].std(0)
X = (X - mu) / sd

D_in, H, D_out = X.shape[1], 200, 1
w1 = Variable(torch.randn(D_in, H) * (2.0 / D_in) ** 0.5, requires_grad=True)
b1 = Variable(torch.zeros(H), requires_grad=True)
w2 = Variable(torch.randn(H, D_out) * (1.0 / H) ** 0.5, requires_grad=True)
b2 = Variable(torch.zeros(D_out), requires_grad=True)
params = [w1, b1, w2, b2]
velocity = [torch.zeros(p.size()) for p in params]

learning_rate = 0.02
momentum = 0.9
l2 = 1e-3
batch_size = 25


def forward(x):
    h = x.mm(w1) + b1
    return h.clamp(min=0).mm(w2) + b2


def logistic_loss(score, target):
    # log(1 + exp(-s)) for ones, log(1 + exp(s)) for zeros
    sign = 1 - 2 * target
    z = sign * score
    return (z.clamp(min=0) + torch.log1p(torch.exp(-z.abs()))).sum() / len(target)


x_test = torch.from_numpy(X[n_train:])
y_test = torch.from_numpy(y[n_train:]).view(-1, 1)
for epoch in range(1, 41):
    order = np.random.permutation(n_train)
    total = 0.0
    for i in range(0, n_train, batch_size):
        idx = order[i:i + batch_size]
        xb = Variable(torch.from_numpy(X[idx]))
        yb = Variable(torch.from_numpy(y[idx]).view(-1, 1))
        loss = logistic_loss(forward(xb), yb) + l2 * (w1.pow(2).sum() + w2.pow(2).sum())
        loss.backward()
        total += loss.item()
        for p, v in zip(params, velocity):
            v.mul_(momentum).add_(p.grad.data)
            p.data -= learning_rate * v
            p.grad.data.zero_()
    if epoch % 10 == 0:
        learning_rate *= 0.5
        score = forward(x_test).data
        correct = ((score > 0).float() == y_test).float().mean()
        print("%d loss %.4f test loss %.4f accuracy %.4f" % (
            epoch, total * batch_size / n_train, logistic_loss(score, y_test), correct))
