import random

import torch
import torch.nn as nn

SIZE, HORIZON = 5, 16
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]


class KeyRoom:
    """A batch of rooms: walk to the key, reward 1 when it is found, small cost per move."""

    def __init__(self, n):
        self.n = n

    def reset(self):
        self.pos = torch.randint(0, SIZE, (self.n, 2))
        self.key = torch.randint(0, SIZE, (self.n, 2))
        self.done = (self.pos == self.key).all(1)
        return self.observe()

    def observe(self):
        return torch.cat([self.pos, self.key], 1).float() / (SIZE - 1) * 2 - 1

    def move(self, action):
        delta = torch.tensor(MOVES)[action]
        self.pos = torch.where(self.done[:, None], self.pos, (self.pos + delta).clamp(0, SIZE - 1))
        alive = ~self.done
        found = (self.pos == self.key).all(1) & alive
        self.done = self.done | found
        return self.observe(), found.float() - 0.05 * alive.float(), alive.float()


actor = lambda: nn.Sequential(nn.Linear(4, 48), nn.Tanh(), nn.Linear(48, len(MOVES)))
critic = lambda: nn.Sequential(nn.Linear(4, 48), nn.Tanh(), nn.Linear(48, 1))


def main():
    random.seed(2)
    torch.manual_seed(2)
    env = KeyRoom(48)
    pi, v = actor(), critic()
    pi_opt = torch.optim.Adam(pi.parameters(), lr=8e-3)
    v_opt = torch.optim.Adam(v.parameters(), lr=8e-3)
    recent = []
    for update in range(150):
        obs = env.reset()
        logps, values, rewards, masks, ents = [], [], [], [], []
        for _ in range(HORIZON):
            dist = torch.distributions.Categorical(logits=pi(obs))
            act = dist.sample()
            logps.append(dist.log_prob(act))
            ents.append(dist.entropy())
            values.append(v(obs).squeeze(1))
            obs, r, m = env.move(act)
            rewards.append(r)
            masks.append(m)
        ret, returns = torch.zeros(env.n), []
        for r in reversed(rewards):
            ret = r + 0.97 * ret
            returns.insert(0, ret)
        returns, masks = torch.stack(returns), torch.stack(masks)
        values, logps, ents = torch.stack(values), torch.stack(logps), torch.stack(ents)
        adv = (returns - values).detach()
        pi_loss = -((logps * adv + 0.01 * ents) * masks).sum() / masks.sum()
        v_loss = ((values - returns).pow(2) * masks).sum() / masks.sum()

        pi_opt.zero_grad()
        v_opt.zero_grad()
        (pi_loss + 0.5 * v_loss).backward()
        v_opt.step()

        recent.append(env.done.float().mean().item())
        if (update + 1) % 25 == 0:
            print(f"update {update + 1} value loss {v_loss.item():.3f} found {sum(recent[-25:]) / 25:.3f}")


if __name__ == "__main__":
    main()
