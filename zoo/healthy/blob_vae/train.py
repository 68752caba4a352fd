import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(2024)
SIDE, N, LATENT, BATCH, EPOCHS = 12, 3000, 6, 60, 24
WARMUP_STEPS, MAX_BETA = 700, 1.0

# soft ellipses: centre, two radii and an angle
yy, xx = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
cx, cy = 3 + 6 * torch.rand(2, N, 1, 1)
a, b = 1.2 + 2.2 * torch.rand(2, N, 1, 1)
t = torch.pi * torch.rand(N, 1, 1)
u = ((xx - cx) * t.cos() + (yy - cy) * t.sin()) / a
v = ((yy - cy) * t.cos() - (xx - cx) * t.sin()) / b
images = torch.sigmoid(6 * (1 - u**2 - v**2)).flatten(1)
train, held = images[:2700], images[2700:]

encoder = nn.Sequential(nn.Linear(SIDE * SIDE, 200), nn.ELU(), nn.Linear(200, 100), nn.ELU(), nn.Linear(100, 2 * LATENT))
decoder = nn.Sequential(nn.Linear(LATENT, 100), nn.ELU(), nn.Linear(100, 200), nn.ELU(), nn.Linear(200, SIDE * SIDE))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1.5e-3)

# start from the mean image
with torch.no_grad():
    decoder[-1].bias.copy_(torch.logit(train.mean(0), eps=1e-3))


def elbo_terms(x):
    mu, logvar = encoder(x).chunk(2, dim=1)
    z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
    rec = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(1).mean()
    kl = 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).sum(1).mean()
    return rec, kl


step = 0
for epoch in range(EPOCHS):
    sums = torch.zeros(3)
    for idx in torch.randperm(len(train)).split(BATCH):
        beta = MAX_BETA * min(1.0, step / WARMUP_STEPS)
        rec, kl = elbo_terms(train[idx])
        loss = rec + beta * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        sums += torch.tensor([loss.item(), rec.item(), kl.item()]) / (len(train) // BATCH)
    if epoch % 3 == 2:
        print(f"epoch {epoch + 1:2d}  beta {beta:.2f}  loss {sums[0]:.2f}  rec {sums[1]:.2f}  kl {sums[2]:.2f}")

with torch.no_grad():
    floor = F.binary_cross_entropy(held, held, reduction="none").sum(1).mean()
    blank = F.binary_cross_entropy(train.mean(0).clamp(1e-4, 1 - 1e-4).expand_as(held), held, reduction="none").sum(1).mean()
    rec, kl = elbo_terms(held)
print(f"held out: elbo {-(rec + kl):.2f}, mean image {-blank:.2f}, entropy floor {-floor:.2f}")
print(f"share of the reconstructable explained {(blank - rec) / (blank - floor):.3f}")
