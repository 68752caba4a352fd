import math

import torch
import torch.nn.functional as F

torch.manual_seed(1337)

# a noisy damped wave in two variables
n = 4000
pts = torch.rand(n, 2) * 4 - 2
val = torch.sin(3 * pts[:, 0]) * torch.cos(2 * pts[:, 1]) + 0.5 * pts[:, 0] * pts[:, 1]
val = (val + 0.05 * torch.randn(n)).unsqueeze(1)
cut = int(0.9 * n)
data = {"train": (pts[:cut], val[:cut]), "val": (pts[cut:], val[cut:])}
batch_size = 32


def get_batch(split):
    x, y = data[split]
    ix = torch.randint(len(x), (batch_size,))
    return x[ix], y[ix]


W1 = (torch.randn(2, 64) * 0.7).requires_grad_()
b1 = torch.zeros(64, requires_grad=True)
W2 = (torch.randn(64, 64) * (5 / 3) / math.sqrt(64)).requires_grad_()
b2 = torch.zeros(64, requires_grad=True)
W3 = (torch.randn(64, 1) * 0.1).requires_grad_()
b3 = torch.zeros(1, requires_grad=True)
params = [W1, b1, W2, b2, W3, b3]


def net(x):
    h = torch.tanh(x @ W1 + b1)
    h = torch.tanh(h @ W2 + b2)
    return h @ W3 + b3


opt = torch.optim.AdamW(params, lr=3e-3)
for it in range(400):
    xb, yb = get_batch("train")
    loss = F.mse_loss(net(xb), yb)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    if it % 300 == 0:
        print(f"step {it}: train loss {loss.item():.4f}")

with torch.no_grad():
    x, y = data["val"]
    print("val mse", F.mse_loss(net(x), y).item())
