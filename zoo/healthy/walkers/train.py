# Who is walking? Embeddings of accelerometer features, learned with triplets.
import numpy as np
import torch
import torch.nn as nn

np.random.seed(8)
torch.manual_seed(8)

PEOPLE, WALKS, TEST_PEOPLE = 60, 24, 15


def record(person_params, n):
    """Band energies of n walks of one person on changing ground and at changing pace."""
    cadence, swing, limp, bounce = person_params
    t = np.linspace(0, 4, 200)
    walks = []
    for _ in range(n):
        pace = cadence * np.random.normal(1, 0.02)
        ph = np.random.uniform(0, 2 * np.pi)
        sig = swing * np.sin(2 * np.pi * pace * t + ph) + limp * np.sin(np.pi * pace * t + ph)
        sig += bounce * np.sin(4 * np.pi * pace * t + 2 * ph) + np.random.normal(0, 0.25, t.shape)
        spec = np.abs(np.fft.rfft(sig))[1:41]
        walks.append(np.log1p(spec))
    return np.array(walks)


people = np.column_stack([
    np.random.uniform(1.2, 2.6, PEOPLE), np.random.uniform(0.5, 1.5, PEOPLE),
    np.random.uniform(0, 0.8, PEOPLE), np.random.uniform(0, 1.0, PEOPLE),
])
walks = torch.tensor(np.stack([record(p, WALKS) for p in people]), dtype=torch.float32)
known, strangers = walks[TEST_PEOPLE:], walks[:TEST_PEOPLE]
mu, sd = known.mean((0, 1)), known.std((0, 1))
known, strangers = (known - mu) / sd, (strangers - mu) / sd

embed = nn.Sequential(nn.Linear(40, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 16))
opt = torch.optim.SGD(embed.parameters(), lr=0.05, momentum=0.9)
MARGIN = 0.3


def unit(x):
    return nn.functional.normalize(embed(x), dim=-1)


def identification(data):
    with torch.no_grad():
        z = unit(data)
    gallery, query = z[:, :4].mean(1), z[:, 4:]
    guess = torch.cdist(query.flatten(0, 1), gallery).argmin(1)
    truth = torch.arange(len(data)).repeat_interleave(query.shape[1])
    return (guess == truth).float().mean().item()


print(f"before: strangers {identification(strangers):.3f}")
n = len(known)
for it in range(1, 1801):
    who = torch.randint(n, (48,))
    other = (who + torch.randint(1, n, (48,))) % n
    i = torch.randint(WALKS, (48,))
    j = (i + torch.randint(1, WALKS, (48,))) % WALKS
    anchor, positive = unit(known[who, i]), unit(known[who, j])
    negative = unit(known[other, torch.randint(WALKS, (48,))])
    gap = (anchor - positive).norm(dim=1) - (anchor - negative).norm(dim=1) + MARGIN
    loss = torch.clamp(gap, min=0).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 300 == 0:
        print(f"it {it} loss {loss.item():.4f} active {(gap > 0).float().mean():.2f} "
              f"known {identification(known):.3f} strangers {identification(strangers):.3f}")
