"""Tell from a line of talk in which of eight ports a sailor grew up.

Character trigrams are hashed into an embedding bag with sparse gradients (SparseAdam);
a router sends each line to one of six experts.
"""
import random
import zlib

import torch
import torch.nn.functional as F
from torch import nn

PORTS, BUCKETS, EXPERTS = 8, 20_000, 6
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


def make_ports(rng):
    """Every port prefers some of the syllables that all of them use."""
    syllables = [c + v + e for c in CONSONANTS for v in VOWELS for e in ("", "n")]
    return syllables, [[5.0 if rng.random() < 0.12 else 1.0 for _ in syllables] for _ in range(PORTS)]


def speak(port, syllables, taste, rng):
    words = ["".join(rng.choices(syllables, taste[port], k=rng.randint(2, 4))) for _ in range(rng.randint(10, 18))]
    return " ".join(words)


def trigrams(line):
    padded = f" {line} "
    return [zlib.crc32(padded[i:i + 3].encode()) % BUCKETS for i in range(len(padded) - 2)]


class Sailors(nn.Module):
    def __init__(self, dim=32, hidden=48):
        super().__init__()
        self.bag = nn.EmbeddingBag(BUCKETS, dim, mode="mean", sparse=True)
        nn.init.normal_(self.bag.weight, std=0.1)
        self.norm = nn.LayerNorm(dim)
        self.router = nn.Linear(dim, EXPERTS)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(0.2), nn.Linear(hidden, dim)) for _ in range(EXPERTS))
        self.out = nn.Linear(dim, PORTS)

    def forward(self, flat, offsets):
        h = self.norm(self.bag(flat, offsets))
        gates = self.router(h).softmax(-1)
        weight, choice = gates.max(-1)
        mixed = torch.zeros_like(h)
        for k, expert in enumerate(self.experts):
            rows = (choice == k).nonzero().squeeze(1)
            if len(rows):
                mixed = mixed.index_add(0, rows, expert(h[rows]) * weight[rows, None])
        share = F.one_hot(choice, EXPERTS).float().mean(0)
        balance = EXPERTS * (share * gates.mean(0)).sum()
        return self.out(h + mixed), balance, share


def pack(lines, keep=1.0):
    if keep < 1.0:
        lines = [([g for g in grams if random.random() < keep], port) for grams, port in lines]
    flat = torch.tensor([g for grams, _ in lines for g in grams])
    sizes = torch.tensor([0] + [len(grams) for grams, _ in lines[:-1]])
    return flat, sizes.cumsum(0), torch.tensor([port for _, port in lines])


@torch.no_grad()
def evaluate(model, lines):
    model.eval()
    flat, offsets, port = pack(lines)
    logits, _, share = model(flat, offsets)
    return (logits.argmax(1) == port).float().mean().item(), share


if __name__ == "__main__":
    rng = random.Random(23)
    random.seed(23)
    torch.manual_seed(23)
    syllables, taste = make_ports(rng)
    talk = [(trigrams(speak(port, syllables, taste, rng)), port) for port in (rng.randrange(PORTS) for _ in range(7000))]
    train, val, test = talk[:5500], talk[5500:6000], talk[6000:]
    model = Sailors()
    dense = [p for name, p in model.named_parameters() if not name.startswith("bag.")]
    sparse_opt = torch.optim.SparseAdam(model.bag.parameters(), lr=5e-3)
    dense_opt = torch.optim.AdamW(dense, lr=2e-3, weight_decay=1e-2)

    for epoch in range(5):
        model.train()
        rng.shuffle(train)
        running = 0.0
        for at in range(0, len(train), 50):
            flat, offsets, port = pack(train[at:at + 50], keep=0.6)
            logits, balance, _ = model(flat, offsets)
            task = F.cross_entropy(logits, port)
            sparse_opt.zero_grad()
            dense_opt.zero_grad()
            (task + 0.01 * balance).backward()
            sparse_opt.step()
            dense_opt.step()
            running += task.item() * len(port)
        print(f"epoch {epoch + 1}  loss {running / len(train):.3f}  validation {evaluate(model, val)[0]:.3f}")
    accuracy, share = evaluate(model, test)
    print("lines per expert:", [f"{s:.2f}" for s in share.tolist()])
    print(f"test accuracy over {PORTS} ports: {accuracy:.3f}")
