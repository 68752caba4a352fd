"""Matrix factorisation of board game ratings: who likes which game."""
import torch
from torch import nn


def club_ratings(users, games, taste, n, gen):
    u = torch.randn(users, taste, generator=gen)
    g = torch.randn(games, taste, generator=gen)
    mood = 0.4 * torch.randn(users, generator=gen)
    fame = 0.6 * torch.randn(games, generator=gen)
    i = torch.randint(users, (n,), generator=gen)
    j = torch.randint(games, (n,), generator=gen)
    score = 6.5 + (u[i] * g[j]).sum(1) * 0.8 + mood[i] + fame[j] + 0.4 * torch.randn(n, generator=gen)
    return i, j, score.clamp(1, 10)


class Factors(nn.Module):
    def __init__(self, users, games, k, mean):
        super().__init__()
        self.user = nn.Embedding(users, k)
        self.game = nn.Embedding(games, k)
        self.user_bias = nn.Embedding(users, 1)
        self.game_bias = nn.Embedding(games, 1)
        self.register_buffer("mean", mean)
        for table in (self.user, self.game, self.user_bias, self.game_bias):
            nn.init.zeros_(table.weight)

    def forward(self, i, j):
        dot = torch.einsum("bk,bk->b", self.user(i), self.game(j))
        return self.mean + dot + self.user_bias(i)[:, 0] + self.game_bias(j)[:, 0]


def make_step(model, opt):
    def step(i, j, r):
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(i, j), r)
        loss.backward()
        opt.step()
        return loss.detach()

    return step


def make_rmse(model, i, j, r):
    @torch.no_grad()
    def rmse():
        return (model(i, j) - r).square().mean().sqrt().item()

    return rmse


def main():
    gen = torch.Generator().manual_seed(41)
    torch.manual_seed(41)
    users, games = 300, 120
    i, j, r = club_ratings(users, games, 3, 14000, gen)
    cut = 12000
    model = Factors(users, games, k=4, mean=r[:cut].mean())
    opt = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.02)
    step, rmse = make_step(model, opt), make_rmse(model, i[cut:], j[cut:], r[cut:])
    for epoch in range(1, 13):
        losses = [step(i[b], j[b], r[b]) for b in torch.randperm(cut, generator=gen).split(128)]
        print(f"epoch {epoch:2d} mse {torch.stack(losses).mean():.3f} held-out rmse {rmse():.3f}")


if __name__ == "__main__":
    main()
