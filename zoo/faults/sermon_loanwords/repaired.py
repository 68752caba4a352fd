"""Counts of Latin loanwords per page of early modern sermons, regressed on the English text of the page.

The count is Poisson; its rate depends on the learned vocabulary of the page and falls with scriptural dialogue.
The network gives the rate lambda(page) directly, positive through a softplus.
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(1611)
np.random.seed(1611)

STEMS = ["doctrin", "grac", "sinn", "merc", "quoth", "lord", "vertu", "reason", "flesh", "heav", "law", "prayr"]
ENDINGS = ["e", "es", "ed", "ly", "ing", "ous", "ion", "ful", "ness", "eth"]
VOCAB = [s + e for s in STEMS for e in ENDINGS]
INDEX = {w: i for i, w in enumerate(VOCAB)}
PAGE = 40
STEM_EFFECT = np.array([.9, .1, -.4, -.2, -1.0, -.5, .7, 1.0, -.6, -.3, .6, .0])
ENDING_EFFECT = np.array([0, 0, -.3, .2, -.2, .8, 1.1, -.6, -.5, -.9])


def write_page():
    """A page has a preacher's register, which tilts the choice of stems and endings."""
    tilt = np.random.randn()
    p_s = np.exp(0.9 * tilt * STEM_EFFECT + 0.4 * np.random.randn(len(STEMS)))
    p_e = np.exp(0.9 * tilt * ENDING_EFFECT + 0.4 * np.random.randn(len(ENDINGS)))
    s = np.random.choice(len(STEMS), PAGE, p=p_s / p_s.sum())
    e = np.random.choice(len(ENDINGS), PAGE, p=p_e / p_e.sum())
    rate = np.exp(0.5 + 1.1 * (STEM_EFFECT[s] + ENDING_EFFECT[e]).mean())
    return " ".join(STEMS[i] + ENDINGS[j] for i, j in zip(s, e)), np.random.poisson(rate)


def corpus(n):
    pages, counts = zip(*(write_page() for _ in range(n)))
    T = torch.tensor([[INDEX[w] for w in page.split()] for page in pages])
    return T, torch.tensor(counts, dtype=torch.float32)


class RateModel(nn.Module):
    def __init__(self, n_words, d_embed, d_hidden):
        super().__init__()
        self.embed = nn.Embedding(n_words, d_embed)
        self.pooled = nn.Linear(d_embed, d_hidden)
        self.out = nn.Linear(d_hidden, 1)

    def forward(self, T):
        h = torch.tanh(self.pooled(self.embed(T).mean(1)))
        return nn.functional.softplus(self.out(h)).squeeze(1)


def poisson_deviance(y, lam):
    lam = lam.clamp(min=1e-6)
    return 2.0 * (torch.xlogy(y, y / lam) - (y - lam)).mean().item()


T_train, y_train = corpus(3000)
T_test, y_test = corpus(800)
print(f"mean count {y_train.mean():.2f}, variance {y_train.var():.2f}")

model = RateModel(len(VOCAB), d_embed=24, d_hidden=32)
criterion = nn.PoissonNLLLoss(log_input=False)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

# diagnostics of the hidden layer: share of saturated units, size of the signal reaching the embedding
trace = {"saturated": [], "grad": []}


def watch_forward(module, args, output):
    trace["saturated"].append((output.detach().abs() > 3.0).float().mean().item())


def watch_backward(module, grad_input, grad_output):
    trace["grad"].append(grad_output[0].norm().item())


model.pooled.register_forward_hook(watch_forward)
model.pooled.register_full_backward_hook(watch_backward)

for epoch in range(20):
    model.train()
    trace["saturated"].clear(), trace["grad"].clear()
    total = 0.0
    for rows in torch.randperm(len(T_train)).split(50):
        loss = criterion(model(T_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1:2d}  loss {total / len(T_train):.4f}  saturated {np.mean(trace['saturated']):.3f}"
              f"  gradient {np.mean(trace['grad']):.5f}")

model.eval()
with torch.no_grad():
    lam = model(T_test)
null = poisson_deviance(y_test, y_train.mean().expand(len(y_test)))
print(f"null deviance {null:.4f}, mean predicted rate {lam.mean():.3f}")
print(f"deviance explained {1.0 - poisson_deviance(y_test, lam) / null:.4f}")
