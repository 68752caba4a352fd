"""Peat bogs: forecast the water table twelve hours ahead and name the bog's type, from one dilated causal
convolution network whose two losses are balanced by learned uncertainties."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

PAST, AHEAD, HOURS = 60, 12, 600
rng = np.random.default_rng(8)
torch.manual_seed(8)


def bog(kind):
    """Hourly rain, air temperature and water level of one site."""
    half_life = (10, 24, 60)[kind] * rng.uniform(0.85, 1.15)
    gain = (1.6, 1.0, 0.6)[kind] * rng.uniform(0.85, 1.15)
    hours = np.arange(HOURS)
    storm = (rng.random(HOURS) < 0.03).astype(float)
    rain = np.convolve(storm * rng.exponential(3.0, HOURS), np.exp(-np.arange(8) / 2.5))[:HOURS]
    temp = 11 + 6 * np.sin(2 * np.pi * (hours - 9) / 24) + np.cumsum(rng.normal(0, 0.1, HOURS))
    level = np.zeros(HOURS)
    keep = 0.5 ** (1 / half_life)
    for t in range(1, HOURS):
        level[t] = keep * level[t - 1] + gain * rain[t - 1] - 0.006 * temp[t - 1] + rng.normal(0, 0.05)
    return np.stack([level, rain, temp]).astype(np.float32)


kinds = np.arange(60) % 3
sites = np.stack([bog(k) for k in kinds])
shuffled = rng.permutation(60)
split = {"train": shuffled[:40], "val": shuffled[40:48], "test": shuffled[48:]}
centre = sites[split["train"]].mean((0, 2), keepdims=True)
spread = sites[split["train"]].std((0, 2), keepdims=True)
sites = torch.from_numpy((sites - centre) / spread)
kinds = torch.from_numpy(kinds)


def windows(which, stride):
    """(history of three channels, the rain forecast, change of level, kind); no site is in two splits."""
    past, coming, change, kind = [], [], [], []
    for s in split[which]:
        for t in range(PAST, HOURS - AHEAD, stride):
            past.append(sites[s, :, t - PAST:t])
            coming.append(sites[s, 1, t:t + AHEAD])
            change.append(sites[s, 0, t:t + AHEAD] - sites[s, 0, t - 1])
            kind.append(kinds[s])
    return torch.stack(past), torch.stack(coming), torch.stack(change), torch.stack(kind)


class CausalBlock(nn.Module):
    def __init__(self, c_in, c_out, dilation):
        super().__init__()
        self.left = 2 * dilation
        self.conv1 = weight_norm(nn.Conv1d(c_in, c_out, 3, dilation=dilation))
        self.conv2 = weight_norm(nn.Conv1d(c_out, c_out, 3, dilation=dilation))
        self.skip = nn.Conv1d(c_in, c_out, 1) if c_in != c_out else nn.Identity()
        self.drop = nn.Dropout(0.05)

    def forward(self, x):
        y = self.drop(F.relu(self.conv1(F.pad(x, (self.left, 0)))))
        y = self.drop(F.relu(self.conv2(F.pad(y, (self.left, 0)))))
        return F.relu(y + self.skip(x))


class BogNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.trunk = nn.Sequential(*[CausalBlock(3 if i == 0 else width, width, 2 ** i) for i in range(4)])
        self.forecast = nn.Sequential(nn.Linear(width + AHEAD, 48), nn.ReLU(), nn.Linear(48, AHEAD))
        self.kind = nn.Linear(2 * width, 3)
        self.log_var = nn.Parameter(torch.zeros(2))

    def forward(self, past, coming):
        h = self.trunk(past)
        last = h[:, :, -1]
        return self.forecast(torch.cat([last, coming], 1)), self.kind(torch.cat([last, h.mean(2)], 1))

    def combined(self, mse, ce):
        # homoscedastic uncertainty weighting; each task's precision is learned with the rest
        return (0.5 * torch.exp(-self.log_var[0]) * mse + 0.5 * self.log_var[0]
                + torch.exp(-self.log_var[1]) * ce + 0.5 * self.log_var[1])


@torch.no_grad()
def score(model, data):
    model.eval()
    past, coming, change, kind = data
    guess, logits = model(past, coming)
    skill = 1 - F.mse_loss(guess, change) / change.square().mean()      # against persistence
    return skill.item(), (logits.argmax(1) == kind).float().mean().item()


train, val, test = windows("train", 6), windows("val", 12), windows("test", 12)
model = BogNet()
weights = [p for n, p in model.named_parameters() if n != "log_var"]
opt = torch.optim.AdamW([{"params": weights, "weight_decay": 1e-3},
                         {"params": [model.log_var], "weight_decay": 0.0, "lr": 1e-2}], lr=3e-3)
EPOCHS = 11
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
best, best_state = -np.inf, None
for epoch in range(EPOCHS):
    model.train()
    sums = torch.zeros(2)
    order = torch.randperm(len(train[0]))
    for idx in order.split(64):
        past, coming, change, kind = (a[idx] for a in train)
        guess, logits = model(past, coming)
        mse, ce = F.mse_loss(guess, change), F.cross_entropy(logits, kind)
        opt.zero_grad()
        model.combined(mse, ce).backward()
        nn.utils.clip_grad_norm_(weights, 5.0)
        opt.step()
        sums += torch.tensor([mse.item(), ce.item()]) * len(idx)
    sched.step()
    skill, acc = score(model, val)
    if skill + acc > best:
        best, best_state = skill + acc, {k: v.clone() for k, v in model.state_dict().items()}
    mse, ce = (sums / len(order)).tolist()
    print(f"{epoch + 1:2d}  mse {mse:.4f}  ce {ce:.4f}  log var {model.log_var.tolist()[0]:+.2f} "
          f"{model.log_var.tolist()[1]:+.2f}  val skill {skill:.3f}  accuracy {acc:.3f}")
model.load_state_dict(best_state)
skill, acc = score(model, test)
print(f"unseen bogs: skill over persistence {skill:.3f}, type accuracy {acc:.3f}")
