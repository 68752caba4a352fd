"""Learn heron calls from unlabelled recordings (BYOL), then name the caller from few labels."""
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

LENGTH, BIRDS = 96, 6
VOICES = [(5, 0, 0.0), (5, 6, 0.0), (9, 0, 0.8), (9, -5, 0.0), (14, 0, 0.8), (12, 5, 0.4)]  # pitch, glide, tremble


def calls(n, gen):
    bird = torch.randint(0, BIRDS, (n,), generator=gen)
    t = torch.linspace(0, 1, LENGTH)
    pitch, glide, tremble = torch.tensor(VOICES)[bird].T[:, :, None]
    pitch = pitch + 0.5 * torch.randn(n, 1, generator=gen)
    phase = 2 * math.pi * torch.rand(n, 1, generator=gen)
    wave = torch.sin(2 * math.pi * (pitch * t + 0.5 * glide * t ** 2) + phase)
    wave = wave * (1 + tremble * torch.sin(2 * math.pi * 3 * t + phase * 1.7))
    loud = 0.5 + torch.rand(n, 1, generator=gen)
    start = torch.randint(0, LENGTH // 3, (n, 1), generator=gen)
    wave = torch.where(torch.arange(LENGTH) >= start, wave, torch.zeros(()))
    return (loud * wave + 0.25 * torch.randn(n, LENGTH, generator=gen))[:, None], bird


def view(x):
    n = len(x)
    shift = torch.randint(0, LENGTH, (n, 1))
    x = torch.gather(x[:, 0], 1, (torch.arange(LENGTH) + shift) % LENGTH)
    x = x * (0.6 + 0.8 * torch.rand(n, 1)) * torch.where(torch.rand(n, 1) < 0.5, -1.0, 1.0)
    hole = torch.randint(0, LENGTH - 16, (n, 1))
    place = torch.arange(LENGTH)
    x = x.masked_fill((place >= hole) & (place < hole + 16), 0.0)
    return (x + 0.2 * torch.randn(n, LENGTH))[:, None]


def encoder():
    return nn.Sequential(
        nn.Conv1d(1, 24, 9, stride=2, padding=4), nn.BatchNorm1d(24), nn.ReLU(),
        nn.Conv1d(24, 48, 7, stride=2, padding=3), nn.BatchNorm1d(48), nn.ReLU(),
        nn.Conv1d(48, 64, 5, stride=2, padding=2), nn.BatchNorm1d(64), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(),
    )


def head(n_in):
    return nn.Sequential(nn.Linear(n_in, 96, bias=False), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 32))


def agreement(guess, goal):
    return 2 - 2 * F.cosine_similarity(guess, goal.detach(), dim=1).mean()


@torch.no_grad()
def probe(body, few, few_y, test, test_y):
    body.eval()
    reader = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    reader.fit(body(few).numpy(), few_y.numpy())
    return reader.score(body(test).numpy(), test_y.numpy())


def main():
    torch.manual_seed(14)
    gen = torch.Generator().manual_seed(14)
    pool, _ = calls(3000, gen)
    few, few_y = calls(60, gen)
    test, test_y = calls(1200, gen)
    scale = pool.std()
    pool, few, test = pool / scale, few / scale, test / scale

    online = nn.ModuleDict({"body": encoder(), "project": head(64), "predict": head(32)})
    teacher = nn.ModuleDict({k: copy.deepcopy(online[k]) for k in ("body", "project")}).requires_grad_(False)
    newborn = copy.deepcopy(online["body"])
    with torch.no_grad():
        for rows in torch.randperm(len(pool)).split(250):
            newborn(pool[rows])  # only its normalisation statistics settle here
    at_birth = probe(newborn, few, few_y, test, test_y)

    epochs, batch = 14, 128
    steps = epochs * (len(pool) // batch)
    optimizer = torch.optim.AdamW(online.parameters(), lr=4e-3, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    online.train()
    teacher.train()
    step = 0
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(pool))[: len(pool) // batch * batch]
        for rows in order.split(batch):
            a, b = view(pool[rows]), view(pool[rows])
            with torch.no_grad():
                goal_a, goal_b = (teacher["project"](teacher["body"](v)) for v in (a, b))
            guess_a, guess_b = (online["predict"](online["project"](online["body"](v))) for v in (a, b))
            loss = 0.5 * (agreement(guess_a, goal_b) + agreement(guess_b, goal_a))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            momentum = 1 - 0.03 * (1 + math.cos(math.pi * step / steps)) / 2
            with torch.no_grad():
                for name in teacher:
                    for slow, fast in zip(teacher[name].parameters(), online[name].parameters()):
                        slow.lerp_(fast, 1 - momentum)
            step += 1
            total += loss.item()
        if epoch % 2 == 1:
            spread = F.normalize(goal_a, dim=1).std(0).mean().item() * np.sqrt(goal_a.shape[1])
            print(f"epoch {epoch + 1}: loss {total / (len(pool) // batch):.4f}, spread of the goals {spread:.2f} (1 is even)")
    after = probe(online["body"], few, few_y, test, test_y)
    print(f"test accuracy from 60 labels: untrained encoder {at_birth:.3f}, BYOL encoder {after:.3f}")


if __name__ == "__main__":
    main()
