"""PPO on a broom held upright on a moving hand (a hand-written cart-pole, 16 copies at once)."""
import os
import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(int(os.environ.get("SEED", "0")))


class Brooms:
    """Vectorised cart-pole with the usual constants; 200 steps per episode at most."""
    def __init__(self, n, limit=200):
        self.n, self.limit = n, limit
        self.s = self.fresh(n)
        self.t = torch.zeros(n)

    @staticmethod
    def fresh(n):
        return torch.rand(n, 4) * 0.1 - 0.05

    def step(self, a):
        x, v, th, w = self.s.unbind(1)
        f = (a.float() * 2 - 1) * 10.0
        c, sn = th.cos(), th.sin()
        tmp = (f + 0.05 * w ** 2 * sn) / 1.1
        wa = (9.8 * sn - c * tmp) / (0.5 * (4 / 3 - 0.1 * c ** 2 / 1.1))
        va = tmp - 0.05 * wa * c / 1.1
        self.s = torch.stack([x + 0.02 * v, v + 0.02 * va, th + 0.02 * w, w + 0.02 * wa], 1)
        self.t += 1
        fell = (self.s[:, 0].abs() > 2.4) | (self.s[:, 2].abs() > 0.2095)
        cut = (self.t >= self.limit) & ~fell
        last, length = self.s.clone(), self.t.clone()
        over = fell | cut
        self.s = torch.where(over[:, None], self.fresh(self.n), self.s)
        self.t = torch.where(over, torch.zeros_like(self.t), self.t)
        return last, fell.float(), cut.float(), length[over]


def ortho(layer, gain):
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


pi = nn.Sequential(ortho(nn.Linear(4, 64), 2 ** .5), nn.Tanh(), ortho(nn.Linear(64, 64), 2 ** .5), nn.Tanh(),
                   ortho(nn.Linear(64, 2), 0.01))
vf = nn.Sequential(ortho(nn.Linear(4, 64), 2 ** .5), nn.Tanh(), ortho(nn.Linear(64, 64), 2 ** .5), nn.Tanh(),
                   ortho(nn.Linear(64, 1), 1.0))
params = [*pi.parameters(), *vf.parameters()]
opt = torch.optim.Adam(params, lr=1e-3, eps=1e-5)

N, T, GAMMA, LAM, CLIP = 16, 128, 0.98, 0.95, 0.2
UPDATES = 28
env = Brooms(N)
for u in range(UPDATES):
    for g in opt.param_groups:
        g["lr"] = 1e-3 * (1 - u / UPDATES)
    S, A, LP, R, V, NV, STOP, lens = [], [], [], [], [], [], [], []
    with torch.no_grad():
        for _ in range(T):
            s = env.s
            d = Categorical(logits=pi(s))
            a = d.sample()
            nxt, fell, cut, ended = env.step(a)
            S.append(s); A.append(a); LP.append(d.log_prob(a)); V.append(vf(s).squeeze(1))
            R.append(torch.ones(N))
            NV.append(vf(nxt).squeeze(1) * (1 - fell))       # bootstrap through the time limit
            STOP.append(torch.maximum(fell, cut))
            lens.append(ended)
        adv, run = [None] * T, torch.zeros(N)
        for t in reversed(range(T)):
            delta = R[t] + GAMMA * NV[t] - V[t]
            run = delta + GAMMA * LAM * (1 - STOP[t]) * run
            adv[t] = run
    S, A, LP, V, adv = torch.cat(S), torch.cat(A), torch.cat(LP), torch.cat(V), torch.cat(adv)
    ret = adv + V
    for epoch in range(6):
        for idx in torch.randperm(N * T).split(256):
            d = Categorical(logits=pi(S[idx]))
            ratio = (d.log_prob(A[idx]) - LP[idx]).exp()
            ad = (adv[idx] - adv[idx].mean()) / (adv[idx].std() + 1e-8)
            policy = -torch.min(ratio * ad, ratio.clamp(1 - CLIP, 1 + CLIP) * ad).mean()
            value = (vf(S[idx]).squeeze(1) - ret[idx]).pow(2).mean()
            loss = policy + 0.5 * value - 0.005 * d.entropy().mean()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(params, 0.5)
            opt.step()
    lens = torch.cat(lens)
    if u % 4 == 3:
        print(f"update {u + 1:3d}  steps upright {lens.mean() if len(lens) else float('nan'):.1f}  "
              f"policy {policy.item():+.4f}  value {value.item():.3f}")

test, seen = Brooms(64), []
with torch.no_grad():
    alive, length = torch.ones(64), torch.zeros(64)
    for _ in range(200):
        _, fell, _, _ = test.step(pi(test.s).argmax(1))
        length += alive
        alive = alive * (1 - fell)
print(f"greedy: mean steps upright {length.mean():.1f} of 200")
