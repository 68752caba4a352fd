import math

import torch
from torch import nn

torch.manual_seed(21)

# x = t + 0.3 sin(2 pi t) + noise, and we want t from x (several answers)
def draw(n):
    t = torch.rand(n, 1)
    x = t + 0.3 * torch.sin(2 * math.pi * t) + 0.05 * (2 * torch.rand(n, 1) - 1)
    return x, t


K = 5
body = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh())
pi_head, mu_head, sigma_head = nn.Linear(40, K), nn.Linear(40, K), nn.Linear(40, K)
parts = nn.ModuleList([body, pi_head, mu_head, sigma_head])


def mixture_log_prob(x, t):
    h = body(x)
    log_pi = torch.log_softmax(pi_head(h), dim=1)
    sigma = nn.functional.softplus(sigma_head(h)) + 1e-2
    comp = torch.distributions.Normal(mu_head(h), sigma).log_prob(t)
    return torch.logsumexp(log_pi + comp, dim=1)


x_train, t_train = draw(2000)
x_test, t_test = draw(1000)
optimizer = torch.optim.Adam(parts.parameters(), lr=5e-3)

for step in range(1, 601):
    rows = torch.randint(0, len(x_train), (128,))
    loss = -mixture_log_prob(x_train[rows], t_train[rows]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        with torch.no_grad():
            ll = mixture_log_prob(x_test, t_test).mean()
        print(f"step {step} loss {loss.item():.3f} test log-likelihood {ll.item():.3f}")
