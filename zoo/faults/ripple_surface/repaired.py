# two layer net by hand
import torch
import math

torch.manual_seed(2)
N, H = 256, 40
x = torch.rand(N, 2) * 4 - 2
y = torch.sin(1.5 * x[:, :1]) * torch.cos(x[:, 1:]) + 0.05 * torch.randn(N, 1)
xt = torch.rand(200, 2) * 4 - 2
yt = torch.sin(1.5 * xt[:, :1]) * torch.cos(xt[:, 1:])

w1 = (torch.randn(2, H) / math.sqrt(2)).requires_grad_()
b1 = torch.zeros(H, requires_grad=True)
w2 = (torch.randn(H, H) / math.sqrt(H)).requires_grad_()
b2 = torch.zeros(H, requires_grad=True)
w3 = (torch.randn(H, 1) / math.sqrt(H)).requires_grad_()
b3 = torch.zeros(1, requires_grad=True)
params = [w1, b1, w2, b2, w3, b3]
learning_rate = 0.1


def forward(inp):
    h = torch.tanh(inp @ w1 + b1)
    h = torch.tanh(h @ w2 + b2)
    return h @ w3 + b3


for t in range(1200):
    idx = torch.randint(0, N, (64,))
    y_pred = forward(x[idx])
    loss = (y_pred - y[idx]).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        for p in params:
            p -= learning_rate * p.grad
            p.grad.zero_()
    if t % 200 == 199:
        with torch.no_grad():
            test = (forward(xt) - yt).pow(2).mean().item()
        print(t, loss.item(), "test mse: %.5f" % test)
