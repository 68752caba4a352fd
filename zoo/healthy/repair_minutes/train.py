"""Minutes that a repair will take, from the steps on the job card. Cards are of any length, so one card
at a time; the gradient of 16 cards is gathered before a step."""
import math
import os
import random

import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))

STEPS = ["open", "drain", "clean", "replace_seal", "replace_pump", "align", "weld", "test", "refill", "close", "paint", "wait"]
MINUTES = [6, 14, 20, 17, 45, 25, 38, 12, 10, 6, 22, 30]


def job_card():
    steps = [random.randrange(len(STEPS)) for _ in range(random.randint(3, 14))]
    total = 0.0
    for i, s in enumerate(steps):
        m = MINUTES[s]
        if i and steps[i - 1] == s:
            m *= 0.4          # the tools are at hand
        total += m * random.gauss(1.0, 0.06)
    return torch.tensor(steps), torch.tensor(total / 100)


class CardModel(nn.Module):
    def __init__(self, dim=24, hidden=48):
        super().__init__()
        self.emb = nn.Embedding(len(STEPS) + 1, dim)
        self.step = nn.Sequential(nn.Linear(2 * dim, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, steps):
        e = self.emb(steps)
        before = self.emb(torch.cat([steps.new_full((1,), len(STEPS)), steps[:-1]]))
        per_step = self.step(torch.cat([e, before], dim=1))
        mean = per_step[:, 0].sum()
        log_var = per_step[:, 1].mean() - 3.0
        return mean, log_var


def nll(mean, log_var, y):
    # without the constant
    return 0.5 * (log_var + (y - mean) ** 2 * torch.exp(-log_var))


def fit(model, cards, epochs=6, gather=16, peak=1e-2):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    n_steps = epochs * math.ceil(len(cards) / gather)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=n_steps)
    optimizer.zero_grad()
    for epoch in range(epochs):
        random.shuffle(cards)
        running = 0.0
        for i, (steps, y) in enumerate(cards, 1):
            loss = nll(*model(steps), y)
            (loss / gather).backward()
            running += loss.item()
            if i % gather == 0 or i == len(cards):
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
        print(f"epoch {epoch + 1}: nll {running / len(cards):.4f}")


def score(model, cards):
    with torch.no_grad():
        out = [model(s) for s, _ in cards]
    mean = torch.stack([m for m, _ in out])
    sigma = torch.stack([(0.5 * v).exp() for _, v in out])
    y = torch.stack([t for _, t in cards])
    r2 = 1 - ((mean - y) ** 2).mean() / y.var()
    inside = ((mean - y).abs() < 2 * sigma).float().mean()
    return r2.item(), inside.item()


def main():
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    cards = [job_card() for _ in range(1500)]
    train, test = cards[:1200], cards[1200:]
    model = CardModel()
    print("before: r2 %.3f, within two sigma %.3f" % score(model, test))
    fit(model, train)
    r2, inside = score(model, test)
    print(f"within two sigma {inside:.3f}")
    print(f"r2 {r2:.4f}")


if __name__ == "__main__":
    main()
