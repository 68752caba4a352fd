"""An operator pulls one punched card from each of twelve drawers; a run pays 1 for each pair of neighbours
that interlock, less a fine for wearing out a card.  REINFORCE on a recurrent policy, baseline from a
value head (detached advantage), entropy bonus that fades.  The policy loss hovers about zero throughout:
look at the pay."""
import os

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(int(os.environ.get("SEED", "0")))
DRAWERS, CARDS, BATCH, ITERS = 12, 6, 64, 350

lock = (torch.rand(CARDS, CARDS) < 0.3)                      # lock[a, b]: b interlocks after a
for a in range(CARDS):                                       # every card has at least one partner, never itself
    lock[a, a] = False
    if not lock[a].any():
        lock[a, (a + 1) % CARDS] = True


def pay(runs):
    """1 per interlocking neighbour pair, minus 0.5 for every use of a card beyond its third."""
    good = lock[runs[:, :-1], runs[:, 1:]].float().sum(1)
    count = torch.nn.functional.one_hot(runs, CARDS).sum(1)
    return good - 0.5 * (count - 3).clamp(min=0).sum(1)


def best_possible():
    """Exact, by a dynamic programme over the last card and all usage counts."""
    states = {(c, tuple(int(k == c) for k in range(CARDS))): 0.0 for c in range(CARDS)}
    for _ in range(DRAWERS - 1):
        nxt = {}
        for (c, use), v in states.items():
            for k in range(CARDS):
                u = list(use)
                u[k] += 1
                w = v + float(lock[c, k]) - (0.5 if u[k] > 3 else 0.0)
                key = (k, tuple(u))
                if w > nxt.get(key, -1e9):
                    nxt[key] = w
        states = nxt
    return max(states.values())


class Operator(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.h = h
        self.cell = nn.GRUCell(CARDS + CARDS + DRAWERS, h)       # last card, uses so far, which drawer
        self.policy = nn.Linear(h, CARDS)
        self.value = nn.Linear(h, 1)
        nn.init.zeros_(self.policy.weight)                       # starts exactly uniform
        nn.init.zeros_(self.policy.bias)

    def play(self, n, greedy=False):
        h, last, uses = torch.zeros(n, self.h), torch.zeros(n, CARDS), torch.zeros(n, CARDS)
        picks, logps, ents, vals = [], [], [], []
        for d in range(DRAWERS):
            where = torch.zeros(n, DRAWERS)
            where[:, d] = 1
            h = self.cell(torch.cat([last, uses / 3, where], 1), h)
            dist = Categorical(logits=self.policy(h))
            a = dist.probs.argmax(1) if greedy else dist.sample()
            picks.append(a); logps.append(dist.log_prob(a)); ents.append(dist.entropy()); vals.append(self.value(h).squeeze(1))
            last = torch.nn.functional.one_hot(a, CARDS).float()
            uses = uses + last
        return torch.stack(picks, 1), torch.stack(logps, 1), torch.stack(ents, 1), torch.stack(vals, 1)


def rewards_to_go(runs):
    """Pay of the whole run minus the pay of the part that was already settled before each pick."""
    settled = torch.stack([torch.zeros(len(runs))] + [pay(runs[:, :d]) for d in range(1, DRAWERS)], 1)
    return pay(runs)[:, None] - settled


op = Operator()
opt = torch.optim.Adam(op.parameters(), lr=4e-3)
top = best_possible()
for it in range(1, ITERS + 1):
    runs, logp, ent, val = op.play(BATCH)
    togo = rewards_to_go(runs)
    adv = (togo - val).detach()
    adv = adv / (adv.std() + 1e-6)
    policy_loss = -(logp * adv).mean()
    value_loss = (val - togo).pow(2).mean()
    bonus = 0.05 * max(0.0, 1 - it / (0.8 * ITERS))
    loss = policy_loss + 0.25 * value_loss - bonus * ent.mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(op.parameters(), 1.0)
    opt.step()
    if it % 50 == 0:
        print(f"iteration {it} pay {pay(runs).mean():.2f} policy {policy_loss.item():+.3f} value {value_loss.item():.3f} entropy {ent.mean():.3f}")
with torch.no_grad():
    runs = op.play(1, greedy=True)[0]
print(f"greedy run {runs[0].tolist()} pays {pay(runs).item():.1f}; the best possible {top:.1f}")
