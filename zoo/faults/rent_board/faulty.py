"""Monthly rents from a listings board: embeddings for the named columns, plain numbers for the rest."""
import math
import random
from dataclasses import dataclass, field

import torch
from torch import nn

NAMED = ("district", "heating", "state")


@dataclass
class Settings:
    seed: int = 5
    width: int = 48
    rate: float = 3e-3
    batch: int = 50
    epochs: int = 14
    sizes: dict = field(default_factory=lambda: {"district": 6, "heating": 2, "state": 2})


def listings(n):
    places = [f"{a}{b}" for a in ("North", "Old", "Mill", "High", "Castle", "West") for b in ("gate", "field", "hurst", "quay", "moor", "well", "ton")]
    premium = {p: random.gauss(0, 0.35) for p in places}
    popular = [1 / (k + 2) for k in range(len(places))]
    random.shuffle(popular)
    heating = {"district heat": 0.05, "gas": 0.0, "oil": -0.08, "stove": -0.2}
    state = {"renovated": 0.15, "as built": 0.0, "needs work": -0.2}
    rows = []
    for _ in range(n):
        row = {
            "district": random.choices(places, popular)[0],
            "heating": random.choice(list(heating)),
            "state": random.choice(list(state)),
            "area": random.uniform(25, 130),
            "floor": random.randint(0, 6),
        }
        log_rent = math.log(9 * row["area"]) - 0.02 * row["floor"] + premium[row["district"]]
        log_rent += heating[row["heating"]] + state[row["state"]] + random.gauss(0, 0.07)
        row["rent"] = math.exp(log_rent)
        rows.append(row)
    return rows


def vocabularies(rows):
    """0 is kept for names that were never seen."""
    return {c: {name: i for i, name in enumerate(sorted({r[c] for r in rows}), 1)} for c in NAMED}


def tensors(rows, vocab):
    named = torch.tensor([[vocab[c].get(r[c], 0) for c in NAMED] for r in rows])
    numbers = torch.tensor([[math.log(r["area"]), float(r["floor"])] for r in rows])
    target = torch.tensor([math.log(r["rent"]) for r in rows])
    return named, numbers, target


class RentNet(nn.Module):
    def __init__(self, vocab, cfg: Settings):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(len(vocab[c]) + 1, cfg.sizes[c]) for c in NAMED)
        n_in = sum(cfg.sizes.values()) + 2
        self.mlp = nn.Sequential(nn.Linear(n_in, cfg.width), nn.ReLU(), nn.Linear(cfg.width, 1))

    def forward(self, named, numbers):
        parts = [table(named[:, i]) for i, table in enumerate(self.tables)]
        return self.mlp(torch.cat([*parts, numbers], 1)).squeeze(1)


def main(cfg: Settings):
    random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    rows = listings(1650)
    train_rows, test_rows = rows[:1500], rows[1500:]
    vocab = vocabularies(train_rows)
    named, numbers, target = tensors(train_rows, vocab)
    centre, spread = numbers.mean(0), numbers.std(0)
    t_centre, t_spread = target.mean(), target.std()
    numbers, target = (numbers - centre) / spread, (target - t_centre) / t_spread

    net = RentNet(vocab, cfg)
    optimizer = torch.optim.Adam(net.parameters(), lr=cfg.rate)
    for epoch in range(cfg.epochs):
        total = 0.0
        for pick in torch.randperm(len(target)).split(cfg.batch):
            loss = nn.functional.mse_loss(net(named[pick], numbers[pick]), target[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(pick)
        print(f"epoch {epoch}: mse {total / len(target):.4f}")

    named, numbers, target = tensors(test_rows, vocabularies(test_rows))
    net.eval()
    with torch.no_grad():
        guess = net(named, (numbers - centre) / spread) * t_spread + t_centre
    off = (guess.exp() / target.exp() - 1).abs().mean()
    print(f"this month's listings: off by {100 * off:.2f} %")


if __name__ == "__main__":
    main(Settings())
