"""Which of four factions a villager belongs to, from weak personal traits and who gossips with whom.

Label reuse: in every step a random half of the known factions goes in as input and the other half
is to be predicted, so that at the end all the known ones can be fed in to judge the rest.
"""
import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FACTIONS, PEOPLE, TRAITS = 4, 1200, 16


def village(rng):
    faction = rng.integers(0, FACTIONS, PEOPLE)
    same = faction[:, None] == faction[None, :]
    chance = np.where(same, 0.018, 0.003)
    upper = np.triu(rng.random((PEOPLE, PEOPLE)) < chance, 1)
    rows, cols = np.nonzero(upper | upper.T)
    centres = rng.normal(0, 0.35, (FACTIONS, TRAITS))
    traits = centres[faction] + rng.normal(0, 1, (PEOPLE, TRAITS))
    return torch.tensor(np.stack([rows, cols])), torch.tensor(traits, dtype=torch.float32), torch.tensor(faction)


def normalized(edges, n):
    loops = torch.arange(n).repeat(2, 1)
    edges = torch.cat([edges, loops], 1)
    degree = torch.bincount(edges[0], minlength=n).float()
    value = degree[edges[0]].rsqrt() * degree[edges[1]].rsqrt()
    return torch.sparse_coo_tensor(edges, value, (n, n), check_invariants=True).coalesce()


class Gossip(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.first = nn.Linear(TRAITS + FACTIONS, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, FACTIONS)

    def forward(self, traits, hints, adj):
        h = torch.cat([traits, hints], 1)
        h = F.relu(torch.sparse.mm(adj, self.first(F.dropout(h, 0.2, self.training))))
        h = F.relu(torch.sparse.mm(adj, self.second(F.dropout(h, 0.5, self.training))))
        return self.out(F.dropout(h, 0.5, self.training))


def hints_for(known, faction):
    hints = torch.zeros(PEOPLE, FACTIONS)
    hints[known] = F.one_hot(faction[known], FACTIONS).float()
    return hints


def train_step(model, optimizer, traits, adj, faction, known):
    model.train()
    shuffled = known[torch.randperm(len(known))]
    shown, asked = shuffled.chunk(2)
    logits = model(traits, hints_for(shown, faction), adj)
    loss = F.cross_entropy(logits[asked], faction[asked])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(model, traits, adj, faction, known, asked):
    model.eval()
    guess = model(traits, hints_for(known, faction), adj).argmax(1)
    return (guess[asked] == faction[asked]).float().mean().item()


def main():
    torch.manual_seed(15)
    rng = np.random.default_rng(15)
    edges, traits, faction = village(rng)
    traits = (traits - traits.mean(0)) / traits.std(0)
    adj = normalized(edges, PEOPLE)
    order = torch.tensor(rng.permutation(PEOPLE))
    known, val, test = order[:240], order[240:480], order[480:]

    model = Gossip()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4)
    best, best_state, since = 0.0, None, 0
    for step in range(400):
        loss = train_step(model, optimizer, traits, adj, faction, known)
        score = accuracy(model, traits, adj, faction, known, val)
        if score > best:
            best, best_state, since = score, copy.deepcopy(model.state_dict()), 0
        else:
            since += 1
        if step % 25 == 0:
            print(f"step {step:3d}  loss {loss:.3f}  validation {score:.3f}")
        if since == 120:
            break
    model.load_state_dict(best_state)
    share = torch.bincount(faction[test]).max().item() / len(test)
    print(f"{edges.shape[1] // 2} ties; the largest faction has {share:.3f} of the test villagers")
    print(f"test accuracy {accuracy(model, traits, adj, faction, known, test):.3f}")


main()
