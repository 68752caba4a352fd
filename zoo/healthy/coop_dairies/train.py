"""Twelve dairies grade milk together without showing each other their records: federated averaging."""
import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def dairy(n: int, lean: float, law: torch.Tensor, g: torch.Generator) -> TensorDataset:
    """Each dairy sees mostly some of the four grades (its herds differ); the law is the same for all."""
    x = torch.randn(4 * n, 10, generator=g) + lean * torch.randn(10, generator=g)
    bent = torch.cat([x, x[:, :5] * x[:, 5:], x[:, :5].abs()], 1)
    grade = (bent @ law + 0.4 * torch.randn(4 * n, 4, generator=g)).argmax(1)
    liked = torch.rand(4, generator=g) ** 2 + 0.05
    kept = torch.multinomial(liked[grade], n, generator=g)
    return TensorDataset(x[kept], grade[kept])


def work_at_home(shared: nn.Module, records: TensorDataset, lr: float, passes: int) -> nn.Module:
    own = copy.deepcopy(shared)
    opt = torch.optim.SGD(own.parameters(), lr=lr)
    own.train()
    for _ in range(passes):
        for x, grade in DataLoader(records, batch_size=32, shuffle=True):
            opt.zero_grad()
            nn.functional.cross_entropy(own(x), grade).backward()
            opt.step()
    return own


@torch.no_grad()
def merge(shared: nn.Module, owns: list[nn.Module], weights: list[int]) -> None:
    total = sum(weights)
    for target, *parts in zip(shared.parameters(), *(m.parameters() for m in owns)):
        target.copy_(sum(w / total * p for w, p in zip(weights, parts)))


@torch.no_grad()
def accuracy(model: nn.Module, records: TensorDataset) -> float:
    model.eval()
    x, grade = records.tensors
    return (model(x).argmax(1) == grade).float().mean().item()


def rounds(n: int, who: int, size: int) -> Iterator[tuple[int, list[int]]]:
    for r in range(1, n + 1):
        yield r, torch.randperm(who)[:size].tolist()


def main() -> None:
    torch.manual_seed(70)
    g = torch.Generator().manual_seed(70)
    law = torch.randn(20, 4, generator=g)
    dairies = [dairy(int(torch.randint(120, 420, (), generator=g)), 0.3, law, g) for _ in range(12)]
    outside = dairy(2000, 0.0, law, g)
    model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.LayerNorm(64), nn.Linear(64, 4))
    print(f"before: {accuracy(model, outside):.3f}")
    for r, taking_part in rounds(30, len(dairies), 6):
        lr = 0.15 * 0.97**r
        owns = [work_at_home(model, dairies[i], lr, passes=2) for i in taking_part]
        merge(model, owns, [len(dairies[i]) for i in taking_part])
        if r % 5 == 0:
            at_home = sum(accuracy(own, outside) for own in owns) / len(owns)
            print(f"round {r}: shared model {accuracy(model, outside):.3f}, those of single dairies {at_home:.3f}")


if __name__ == "__main__":
    main()
