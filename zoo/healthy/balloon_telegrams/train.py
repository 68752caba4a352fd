"""Balloonists' telegrams: what is wanted (4 purposes) and in how many days."""
import random
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

UNITS = ("one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
         "fifteen sixteen seventeen eighteen nineteen").split()
PURPOSES = {
    0: ["we shall ascend from {p}", "launch planned at {p}", "lifting off near {p}", "our ascent starts at {p}"],
    1: ["expect to land at {p}", "coming down near {p}", "we shall arrive at {p}", "landing planned at {p}"],
    2: ["we shall not ascend from {p}", "no landing at {p}", "calling off the launch at {p}",
        "we do not arrive at {p}"],
    3: ["the basket needs mending at {p}", "envelope torn near {p} send canvas", "burner broken at {p}",
        "please mend the valve at {p}"],
}
CARGO = ["carrying {n} crates", "with {n} passengers", "{n} sandbags aboard", "crew of {n}", "wind force {n}"]


def number_words(n):
    if n < 20:
        return UNITS[n - 1]
    return {2: "twenty", 3: "thirty"}[n // 10] + ("" if n % 10 == 0 else " " + UNITS[n % 10 - 1])


def write_telegram(rng):
    purpose, days = rng.randrange(4), rng.randint(1, 35)
    place = "".join(rng.choice(["ba", "lor", "mi", "ten", "ru", "sko", "vel", "dan"]) for _ in range(rng.randint(2, 3)))
    if days == 1:
        when = "tomorrow"
    elif days % 7 == 0 and rng.random() < 0.5:
        when = {7: "in a week", 14: "in a fortnight"}.get(days, f"in {number_words(days // 7)} weeks")
    else:
        when = f"in {number_words(days)} days"
    pieces = [rng.choice(PURPOSES[purpose]).format(p=place), when]
    if rng.random() < 0.7:
        pieces.append(rng.choice(CARGO).format(n=number_words(rng.randint(2, 35))))
    rng.shuffle(pieces)
    return " stop ".join(pieces).split(), purpose, days


class TelegramReader(nn.Module):
    def __init__(self, vocab_size, dim=48, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.gru = nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.score = nn.Linear(2 * hidden, 2)
        self.drop = nn.Dropout(0.1)
        self.purpose = nn.Linear(2 * hidden, 4)
        self.days = nn.Linear(2 * hidden, 1)
        self.log_var = nn.Parameter(torch.zeros(2))

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        scores = self.score(states).masked_fill((tokens == 0).unsqueeze(2), float("-inf"))
        pooled = self.drop(torch.einsum("blk,bld->kbd", scores.softmax(1), states))
        return self.purpose(pooled[0]), self.days(pooled[1]).squeeze(1)


def joint_loss(model, logits, days_out, purpose, days):
    """Kendall et al.: each task's loss is divided by its learned variance, whose logarithm is the price."""
    ce = nn.functional.cross_entropy(logits, purpose)
    mse = nn.functional.mse_loss(days_out, days)
    s = model.log_var
    return torch.exp(-s[0]) * ce + 0.5 * s[0] + 0.5 * torch.exp(-s[1]) * mse + 0.5 * s[1]


@torch.no_grad()
def evaluate(model, loader, mean, std):
    model.eval()
    hits, error, count = 0, 0.0, 0
    for tokens, lengths, purpose, days in loader:
        logits, out = model(tokens, lengths)
        hits += (logits.argmax(1) == purpose).sum().item()
        error += ((out - days).abs() * std).sum().item()
        count += len(purpose)
    return hits / count, error / count


def main():
    torch.manual_seed(21)
    rng = random.Random(21)
    seen = {}
    while len(seen) < 4200:
        telegram = write_telegram(rng)
        seen.setdefault(" ".join(telegram[0]), telegram)
    rows = list(seen.values())
    train, val, test = rows[:3000], rows[3000:3500], rows[3500:]
    counts = Counter(word for words, _, _ in train for word in words)
    vocab = {"<pad>": 0, "<unk>": 1}
    for word, count in counts.items():
        if count >= 4:
            vocab[word] = len(vocab)
    target = torch.tensor([float(r[2]) for r in train])
    mean, std = target.mean().item(), target.std().item()

    def collate(batch):
        tokens = [torch.tensor([vocab.get(w, 1) for w in words]) for words, _, _ in batch]
        return (pad_sequence(tokens, batch_first=True), torch.tensor([len(t) for t in tokens]),
                torch.tensor([p for _, p, _ in batch]),
                torch.tensor([(d - mean) / std for _, _, d in batch]))

    loader = DataLoader(train, batch_size=64, shuffle=True, collate_fn=collate)
    val_loader, test_loader = (DataLoader(part, batch_size=200, collate_fn=collate) for part in (val, test))
    model = TelegramReader(len(vocab))
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    epochs = 10
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * len(loader))
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for tokens, lengths, purpose, days in loader:
            loss = joint_loss(model, *model(tokens, lengths), purpose, days)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            sched.step()
            total += loss.item()
        acc, mae = evaluate(model, val_loader, mean, std)
        print(f"epoch {epoch:2d}  loss {total / len(loader):+.3f}  val purpose {acc:.3f}  val days off {mae:.2f}  "
              f"log var {model.log_var.tolist()}")
    acc, mae = evaluate(model, test_loader, mean, std)
    trivial = sum(abs(r[2] - mean) for r in test) / len(test)
    print(f"test: purpose accuracy {acc:.3f} (chance 0.25), days off by {mae:.2f} (always the mean: {trivial:.2f})")


if __name__ == "__main__":
    main()
