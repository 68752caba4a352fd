"""Character model for the entries of a farmer's almanac."""
import random

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

MONTHS = "january february march april may june july august september october november december".split()
JOBS = ["sow the barley", "prune the apple trees", "shear the ewes", "mend the north fence", "turn the hay",
        "lift the potatoes", "bring in the cattle", "burn the stubble", "salt the pork", "clear the ditches"]
SIGNS = ["when the moon is waning", "after the first frost", "before the rooks return", "if the wind is westerly",
         "while the ground is soft", "once the swallows leave"]
WEATHER = ["rain", "sleet", "fair skies", "thick fog", "warm winds", "hard frost"]


def write_almanac(n):
    lines = []
    for _ in range(n):
        day = random.randint(1, 28)
        head = f"{day} {random.choice(MONTHS)}: "
        kind = random.random()
        if kind < 0.6:
            lines.append(head + random.choice(JOBS) + " " + random.choice(SIGNS) + ".")
        else:
            lines.append(head + random.choice(WEATHER) + ", then " + random.choice(WEATHER) + " by evening.")
    return "\n".join(lines)


class CharGRU(nn.Module):
    def __init__(self, vocab, emb=24, hidden=96):
        super().__init__()
        self.emb = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x, h=None):
        y, h = self.gru(self.emb(x), h)
        return self.out(self.drop(y)), h


def windows(ids, length):
    n = (len(ids) - 1) // length
    x = ids[:n * length].view(n, length)
    y = ids[1:n * length + 1].view(n, length)
    return TensorDataset(x, y)


def evaluate(model, loader, loss_fn):
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            logits, _ = model(x)
            total += loss_fn(logits.flatten(0, 1), y.flatten()).item() * y.numel()
            count += y.numel()
    return total / count


@torch.no_grad()
def dream(model, chars, start, length=70):
    model.eval()
    ids = {c: i for i, c in enumerate(chars)}
    text, h = start, None
    x = torch.tensor([[ids[c] for c in start]])
    for _ in range(length):
        logits, h = model(x, h)
        nxt = torch.multinomial((logits[0, -1] / 0.8).softmax(-1), 1)
        text += chars[nxt.item()]
        x = nxt.view(1, 1)
    return text.replace("\n", " / ")


def main():
    config = {"seed": 9, "epochs": 6, "batch": 16, "window": 48, "max_lr": 8e-3, "clip": 1.0}
    random.seed(config["seed"])
    torch.manual_seed(config["seed"])
    text = write_almanac(900)
    chars = sorted(set(text))
    ids = torch.tensor([chars.index(c) for c in text])
    cut = int(0.9 * len(ids))
    train = DataLoader(windows(ids[:cut], config["window"]), batch_size=config["batch"], shuffle=True, drop_last=True)
    valid = DataLoader(windows(ids[cut:], config["window"]), batch_size=64)
    print(f"{len(text)} characters, {len(chars)} different, {len(train)} batches per epoch")

    model = CharGRU(len(chars))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["max_lr"], weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=config["max_lr"], total_steps=config["epochs"] * len(train), pct_start=0.3)
    loss_fn = nn.CrossEntropyLoss()

    for epoch in range(config["epochs"]):
        model.train()
        running = 0.0
        for x, y in train:
            logits, _ = model(x)
            loss = loss_fn(logits.flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config["clip"])
            optimizer.step()
            running += loss.item()
        scheduler.step()
        print(f"epoch {epoch + 1}  train {running / len(train):.4f}  valid {evaluate(model, valid, loss_fn):.4f}")
    print("sample:", dream(model, chars, "3 "))
    print(f"valid loss {evaluate(model, valid, loss_fn):.4f}")


if __name__ == "__main__":
    main()
