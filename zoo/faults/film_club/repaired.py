"""Who would like which film? Factors learned from likes and from films nobody clicked."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Likes:
    """Members with tastes in a few genres; each likes about 25 of the films, one is kept for the test."""

    def __init__(self, members=300, films=240, genres=6, seed=3):
        rng = np.random.default_rng(seed)
        taste = rng.dirichlet(np.full(genres, 0.25), members)
        topic = rng.dirichlet(np.full(genres, 0.25), films)
        fame = rng.normal(0, 0.6, films)
        utility = 6 * taste @ topic.T + fame + rng.gumbel(0, 0.7, (members, films))
        best = np.argsort(-utility, 1)[:, :25]
        self.members, self.films = members, films
        held = rng.integers(0, 25, members)
        self.test = torch.tensor(best[np.arange(members), held])
        train = [(m, f) for m in range(members) for k, f in enumerate(best[m]) if k != held[m]]
        self.pairs = torch.tensor(train)
        self.seen = torch.zeros(members, films, dtype=torch.bool)
        self.seen[self.pairs[:, 0], self.pairs[:, 1]] = True

    def batches(self, size, negatives=4):
        for chunk in self.pairs[torch.randperm(len(self.pairs))].split(size):
            m, f = chunk.unbind(1)
            wrong = torch.randint(self.films, (len(m) * negatives,))
            users = torch.cat([m, m.repeat_interleave(negatives)])
            known = self.seen[m.repeat_interleave(negatives), wrong]
            label = torch.cat([torch.ones(len(m)), torch.zeros(len(wrong))])
            keep = torch.cat([torch.ones(len(m), dtype=torch.bool), ~known])
            yield users[keep], torch.cat([f, wrong])[keep], label[keep]


class Factors(nn.Module):
    def __init__(self, members, films, dim=64):
        super().__init__()
        self.member = nn.Embedding(members, dim)
        self.film = nn.Embedding(films, dim)
        self.bias = nn.Embedding(films, 1)
        nn.init.zeros_(self.bias.weight)
        for table in (self.member, self.film):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, m, f):
        return (self.member(m) * self.film(f)).sum(-1) + self.bias(f).squeeze(-1)


@torch.no_grad()
def hit_rate(model, likes, k=10):
    everyone = torch.arange(likes.members)[:, None].expand(-1, likes.films)
    scores = model(everyone, torch.arange(likes.films)[None].expand(likes.members, -1))
    top = scores.masked_fill(likes.seen, -torch.inf).topk(k, dim=1).indices
    return (top == likes.test[:, None]).any(1).float().mean().item()


def main():
    torch.manual_seed(9)
    likes = Likes(seed=9)
    model = Factors(likes.members, likes.films)
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(1, 19):
        losses = []
        for m, f, label in likes.batches(256):
            loss = F.binary_cross_entropy_with_logits(model(m, f), label)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        if epoch % 3 == 0:
            print(f"epoch {epoch} bce {np.mean(losses):.4f} hit rate at 10: {hit_rate(model, likes):.3f}")


main()
