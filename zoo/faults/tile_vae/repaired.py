import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(5)
images = torch.tensor(load_digits().images, dtype=torch.float32).div(16).flatten(1)
perm = torch.randperm(len(images))
train, held_out = images[perm[:1400]], images[perm[1400:]]

BN = dict(momentum=0.1)


def block(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out, **BN), nn.LeakyReLU(0.1))


encoder = nn.Sequential(block(64, 128), block(128, 64))
to_mu, to_logvar = nn.Linear(64, 8), nn.Linear(64, 8)
decoder = nn.Sequential(block(8, 64), block(64, 128), nn.Linear(128, 64))
vae = nn.ModuleDict(dict(enc=encoder, mu=to_mu, logvar=to_logvar, dec=decoder))


def elbo_terms(x, sample=True):
    h = vae["enc"](x)
    mu, logvar = vae["mu"](h), vae["logvar"](h)
    z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if sample else mu
    recon = F.binary_cross_entropy_with_logits(vae["dec"](z), x, reduction="none").sum(1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return recon.mean(), kl.mean()


optimizer = torch.optim.Adam(vae.parameters(), lr=2e-3)
for epoch in range(1, 26):
    vae.train()
    total = 0.0
    for index in torch.randperm(len(train)).split(100):
        recon, kl = elbo_terms(train[index])
        loss = recon + kl
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(index)
    if epoch % 5 == 0:
        vae.eval()
        with torch.no_grad():
            recon, kl = elbo_terms(held_out)
        print(f"epoch {epoch:2d}  train -elbo {total / len(train):.2f}  held-out -elbo {recon + kl:.2f}  (kl {kl:.2f})")
