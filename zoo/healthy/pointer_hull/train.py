"""Visit towns in the order of their angle around the first: a pointer network."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(15)
MAX_TOWNS = 9


def towns(n):
    xy = torch.rand(n, MAX_TOWNS, 2) * 2 - 1
    count = torch.randint(4, MAX_TOWNS + 1, (n,))
    absent = torch.arange(MAX_TOWNS) >= count[:, None]
    xy = xy.masked_fill(absent[:, :, None], 0.0)
    angle = torch.atan2(xy[..., 1], xy[..., 0]).masked_fill(absent, math.inf)
    order = angle.argsort(dim=1)  # places behind the count hold the absent towns
    return xy, absent, order, count


class Pointer(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.inp = nn.Sequential(nn.Linear(2, dim), nn.ReLU(), nn.Linear(dim, dim))
        block = nn.TransformerEncoderLayer(dim, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(block, 1, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.cell = nn.GRUCell(dim, dim)
        self.first = nn.Parameter(torch.zeros(dim))
        self.key, self.ask = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim)
        self.point = nn.Linear(dim, 1, bias=False)

    def forward(self, xy, absent, order=None):
        memory = self.enc(self.inp(xy), src_key_padding_mask=absent)
        here = (~absent).float().unsqueeze(-1)
        state = (memory * here).sum(1) / here.sum(1)
        keys = self.key(memory)
        closed = absent.clone()
        last = self.first.expand(len(xy), -1)
        rows = torch.arange(len(xy))
        steps = []
        for t in range(MAX_TOWNS):
            state = self.cell(last, state)
            score = self.point(torch.tanh(keys + self.ask(state)[:, None])).squeeze(-1)
            score = score.masked_fill(closed, -math.inf)
            # where all towns are used up: any row of finite scores, it has no loss
            score = torch.where(closed.all(1, keepdim=True), torch.zeros_like(score), score)
            steps.append(score)
            chosen = score.argmax(1) if order is None else order[:, t]
            closed = closed.scatter(1, chosen[:, None], True)
            last = memory[rows, chosen]
        return torch.stack(steps, 1)


net = Pointer()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 280)
xy_t, absent_t, order_t, count_t = towns(400)
for step in range(1, 281):
    xy, absent, order, count = towns(48)
    scores = net(xy, absent, order)
    due = torch.arange(MAX_TOWNS) < count[:, None]
    loss = F.cross_entropy(scores[due], order[due])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 2.0)
    opt.step()
    sched.step()
    if step % 40 == 0:
        with torch.no_grad():
            tour = net(xy_t, absent_t).argmax(-1)
        due = torch.arange(MAX_TOWNS) < count_t[:, None]
        whole = ((tour == order_t) | ~due).all(1).float().mean().item()
        print(f"step {step}: loss {loss.item():.3f}, tours right {whole:.3f}")
