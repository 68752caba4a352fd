"""Absorbing-state (masked) text diffusion that invents mottoes for inns, letter by letter in any order."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

ADJ = "blue wild tiny gold grey lame neat cold".split()
BEAST = "boar crow lamb stag pike mole hare goat".split()
VERB = "eats hugs owns sees bags wins".split()
THING = "corn soup plum bean salt hops wine cake".split()
CHARS = "_ " + "".join(sorted(set("".join(ADJ + BEAST + VERB + THING))))
MASK, LENGTH, STEPS = 0, 19, 1500


def encode(text):
    return [CHARS.index(c) for c in text]


def decode(row):
    return "".join(CHARS[i] for i in row.tolist())


def split_mottoes(seed):
    every = [f"{a} {b} {v} {t}" for a in ADJ for b in BEAST for v in VERB for t in THING
             if a[0] != b[0] and v[0] != t[0]]                    # the painter refuses to repeat an initial
    random.Random(seed).shuffle(every)
    return every[: len(every) * 7 // 10], every[len(every) * 7 // 10:]


class Denoiser(nn.Module):
    def __init__(self, dim=16, width=256):
        super().__init__()
        self.token, self.enter = nn.Embedding(len(CHARS), dim), nn.Linear(dim * LENGTH, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)) for _ in range(2))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, LENGTH * len(CHARS)))

    def forward(self, z):
        h = self.enter(self.token(z).flatten(1))
        for block in self.blocks:
            h = h + block(h)
        logits = self.out(h).view(len(z), LENGTH, len(CHARS))
        never = torch.arange(len(CHARS)) == MASK                  # a clean letter is never the mask
        return logits.masked_fill(never, float("-inf"))


def make_trainer(net, data, steps, batch):
    ema = {k: v.detach().clone() for k, v in net.state_dict().items()}
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1, (s + 1) / 100) * max(0.02, 1 - s / steps))

    def nelbo(x):
        # one stratified time per row: letters vanish with probability t, and the bound weighs them by 1 / t
        t = (torch.arange(len(x)) + torch.rand(())) / len(x)
        t = t.clamp(min=1e-2)[torch.randperm(len(x))].unsqueeze(1)
        hidden = torch.rand(x.shape) < t
        z = torch.where(hidden, MASK, x)
        nll = F.cross_entropy(net(z).transpose(1, 2), x, reduction="none")
        return (nll * hidden / t).sum(1).mean() / LENGTH

    def step():
        loss = nelbo(data[torch.randint(len(data), (batch,))])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        sched.step()
        for k, v in net.state_dict().items():
            ema[k].lerp_(v, 0.01)
        return loss.item()

    @torch.no_grad()
    def bound(x, repeats=4):
        net.eval()
        value = sum(nelbo(x).item() for _ in range(repeats)) / repeats
        net.train()
        return value

    return step, bound, ema


def make_sampler(net):
    @torch.no_grad()
    def sample(n):
        # in continuous time two letters never appear at once, so the path is a random order of single reveals
        z, order = torch.full((n, LENGTH), MASK), torch.rand(n, LENGTH).argsort(1)
        for place in order.split(1, dim=1):
            logits = net(z).gather(1, place[:, :, None].expand(-1, -1, len(CHARS))).squeeze(1)
            z.scatter_(1, place, torch.multinomial(logits.softmax(1), 1))
        return [decode(row) for row in z]
    return sample


def main():
    torch.manual_seed(12)
    known, unseen = split_mottoes(12)
    train, held = torch.tensor([encode(m) for m in known]), torch.tensor([encode(m) for m in unseen])
    legal = set(known) | set(unseen)
    print(len(known), "mottoes for training, for example:", "; ".join(known[:3]))

    net = Denoiser()
    step, bound, ema = make_trainer(net, train, steps=STEPS, batch=64)
    sample, trail = make_sampler(net), []
    untrained = sum(m in legal for m in sample(100)) / 100
    for i in range(STEPS):
        trail.append(step())
        if i % 300 == 299:
            print(f"step {i + 1}: bound {sum(trail[-200:]) / 200:.3f} nats a letter, held out {bound(held):.3f}")
    net.load_state_dict(ema)
    net.eval()
    mottoes = sample(400)
    valid = [m for m in mottoes if m in legal]
    fresh = sum(m not in set(known) for m in valid)
    print("new signs:", "; ".join(mottoes[:4]))
    print(f"held-out bound {bound(held):.3f} (uniform letters {torch.tensor(len(CHARS) - 1.0).log():.3f}); valid mottoes "
          f"{len(valid) / 400:.3f} (untrained {untrained:.3f}), distinct {len(set(valid))}, not in the training list {fresh}")


if __name__ == "__main__":
    main()
