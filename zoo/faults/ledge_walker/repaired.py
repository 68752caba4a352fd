"""Policy gradient on a narrow ledge: walk to the lamp at the far end, gusts of wind push sideways."""
import torch
from torch import nn
from torch.distributions import Categorical

LENGTH, LANES, HORIZON = 7, 5, 22


def gusts(pos, gen):
    push = torch.randint(-1, 2, (len(pos),), generator=gen)
    return push * (torch.rand(len(pos), generator=gen) < 0.2)


def features(pos):
    x = nn.functional.one_hot(pos[:, 0], LENGTH)
    y = nn.functional.one_hot(pos[:, 1], LANES)
    return torch.cat([x, y], 1).float()


def rollout(policy, n, gen):
    """Yields (log-probability, entropy, reward, alive) of each tick, for n walkers at once."""
    pos = torch.stack([torch.zeros(n, dtype=torch.long), torch.randint(1, LANES - 1, (n,), generator=gen)], 1)
    alive = torch.ones(n)
    for _ in range(HORIZON):
        dist = Categorical(probs=policy(features(pos)))
        act = dist.sample()
        step = torch.tensor([[1, 0], [0, 1], [0, -1], [-1, 0]])[act]
        new = pos + step
        new[:, 1] += gusts(pos, gen)
        new[:, 0].clamp_(0, LENGTH - 1)
        fell = (new[:, 1] < 0) | (new[:, 1] >= LANES)
        won = (new[:, 0] == LENGTH - 1) & ~fell
        yield dist.log_prob(act), dist.entropy(), (won.float() - fell.float() - 0.03) * alive, alive
        new[:, 1].clamp_(0, LANES - 1)
        pos = new
        alive = alive * (~(fell | won)).float()


def discounted(rewards, gamma=0.95):
    togo = []
    acc = torch.zeros_like(rewards[0])
    for r in reversed(rewards):
        acc = r + gamma * acc
        togo.append(acc)
    return torch.stack(togo[::-1])


def learn(updates=170, n=64):
    gen = torch.Generator().manual_seed(44)
    policy = nn.Sequential(nn.Linear(LENGTH + LANES, 32), nn.Tanh(), nn.Linear(32, 4), nn.Softmax(dim=-1))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    wins = []
    for update in range(1, updates + 1):
        logp, entropy, rewards, alive = zip(*rollout(policy, n, gen))
        returns, alive = discounted(rewards), torch.stack(alive)
        baseline = (returns * alive).sum(1, keepdim=True) / alive.sum(1, keepdim=True).clamp(min=1)
        score = torch.stack(logp) * (returns - baseline) + 0.01 * torch.stack(entropy)
        loss = -(score * alive).sum() / alive.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        wins.append((torch.stack(rewards) > 0.5).any(0).float().mean().item())
        if update % 10 == 0:
            print(f"update {update} loss {loss.item():+.4f} reached {sum(wins[-10:]) / 10:.3f}")


torch.manual_seed(44)
learn()
