"""Contact network of reef fish: pre-train a graph network on the survey of last year, reuse it this year."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(14)
rng = np.random.default_rng(14)


@dataclass
class ReefConfig:
    n_fish: int = 800
    n_groups: int = 6
    width: int = 32
    labelled: int = 90
    pretrain_steps: int = 300
    head_steps: int = 300
    lr: float = 5e-3


CFG = ReefConfig()
TRAITS = rng.normal(size=(CFG.n_groups, 4)) @ rng.normal(size=(4, CFG.width)) * 0.7
SHARED = rng.normal(size=(8, CFG.width))


def survey() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    groups = rng.integers(CFG.n_groups, size=CFG.n_fish)
    nuisance = rng.normal(size=(CFG.n_fish, 8)) @ SHARED * 1.5
    traits = TRAITS[groups] + nuisance + rng.normal(size=(CFG.n_fish, CFG.width))
    chance = np.where(groups[:, None] == groups[None, :], 0.016, 0.004)
    upper = np.triu(rng.random((CFG.n_fish, CFG.n_fish)) < chance, 1)
    adjacency = torch.tensor(upper | upper.T, dtype=torch.float32) + torch.eye(CFG.n_fish)
    scale = adjacency.sum(1).rsqrt()
    x = torch.tensor(traits, dtype=torch.float32)
    return (x - x.mean(0)) / x.std(0), adjacency * scale[:, None] * scale[None, :], torch.tensor(groups)


class SurveyConv(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(n_in, n_out))
        self.offset = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.kernel)

    def forward(self, x, adj):
        return adj @ (x @ self.kernel) + self.offset


class ReefConv(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out, bias=False)
        self.offset = nn.Parameter(torch.zeros(n_out))

    def forward(self, x, adj):
        return adj @ self.linear(x) + self.offset


class GraphNet(nn.Module):
    def __init__(self, conv: type[nn.Module]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(CFG.width, CFG.width) for _ in range(2))
        self.head = nn.Linear(CFG.width, CFG.n_groups)

    def forward(self, x, adj):
        for conv in self.convs:
            x = F.relu(conv(x, adj))
        return self.head(x)


def fit(model: nn.Module, x, adj, groups, idx, steps: int) -> float:
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=CFG.lr, weight_decay=1e-2)
    for _ in range(steps):
        model.train()
        loss = F.cross_entropy(model(x, adj)[idx], groups[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def import_survey_kernels(target: GraphNet, exported: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        for i, conv in enumerate(target.convs):
            conv.linear.weight.copy_(torch.from_numpy(exported[f"conv{i}/kernel"]))
            conv.offset.copy_(torch.from_numpy(exported[f"conv{i}/offset"]))
    target.convs.requires_grad_(False)


x, adj, groups = survey()
old_net = GraphNet(SurveyConv)
loss = fit(old_net, x, adj, groups, torch.arange(CFG.n_fish), CFG.pretrain_steps)
print(f"last year: training loss {loss:.4f}")
exported = {}
for i, conv in enumerate(old_net.convs):
    exported[f"conv{i}/kernel"] = conv.kernel.detach().numpy()
    exported[f"conv{i}/offset"] = conv.offset.detach().numpy()

x, adj, groups = survey()
order = torch.randperm(CFG.n_fish)
train_idx, test_idx = order[:CFG.labelled], order[CFG.labelled:]
net = GraphNet(ReefConv)
import_survey_kernels(net, exported)

activity: dict[str, float] = {}
for name, conv in net.convs.named_children():
    conv.register_forward_hook(lambda m, i, out, name=name: activity.update({name: (out > 0).float().mean().item()}))

loss = fit(net, x, adj, groups, train_idx, CFG.head_steps)
print(f"this year: head loss {loss:.4f}", "active", {k: round(v, 2) for k, v in activity.items()})
net.eval()
with torch.no_grad():
    accuracy = (net(x, adj).argmax(1) == groups)[test_idx].float().mean().item()
print(f"test accuracy {accuracy:.4f}")
