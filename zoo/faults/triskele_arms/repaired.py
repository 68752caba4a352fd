# three arms of a triskele, one class per arm; plain tensors, no nn.Module
import math

import torch
import torch.nn.functional as F

torch.manual_seed(31)


def triskele(n_per_arm, noise=0.12):
    points, arms = [], []
    for arm in range(3):
        r = torch.rand(n_per_arm).sqrt() * 2.6 + 0.2
        angle = 1.5 * r + arm * 2 * math.pi / 3
        xy = torch.stack([r * torch.cos(angle), r * torch.sin(angle)], 1)
        points.append(xy + noise * torch.randn(n_per_arm, 2))
        arms.append(torch.full((n_per_arm,), arm))
    return torch.cat(points), torch.cat(arms)


def layer(n_in, n_out):
    w = torch.empty(n_in, n_out)
    torch.nn.init.xavier_uniform_(w, gain=5 / 3)
    return w.requires_grad_(), torch.zeros(n_out, requires_grad=True)


x_train, y_train = triskele(400)
x_test, y_test = triskele(200)
mean, std = x_train.mean(0), x_train.std(0)
x_train = (x_train - mean) / std
x_test = (x_test - mean) / std

w1, b1 = layer(2, 40)
w2, b2 = layer(40, 40)
w3, b3 = layer(40, 3)
params = [w1, b1, w2, b2, w3, b3]


def predict(x):
    h = torch.tanh(x @ w1 + b1)
    h = torch.tanh(h @ w2 + b2)
    out = h @ w3 + b3
    return out


def objective(out, y):
    return F.cross_entropy(out, y)


def hit_rate(x, y):
    with torch.no_grad():
        return (predict(x).argmax(1) == y).float().mean().item()


optimizer = torch.optim.SGD(params, lr=0.1)
epochs = 60
for epoch in range(epochs):
    order = torch.randperm(len(x_train))
    total = 0.0
    for start in range(0, len(order), 60):
        idx = order[start:start + 60]
        loss = objective(predict(x_train[idx]), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    if (epoch + 1) % 10 == 0:
        print(f"epoch {epoch + 1:3d}  loss {total / len(order):.4f}  train {hit_rate(x_train, y_train):.3f}")

print(f"points on the right arm {hit_rate(x_test, y_test):.4f}")
