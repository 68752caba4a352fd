"""Learn the score of a banana-shaped density by sliced score matching, then sample it with Langevin steps."""
import torch
from scipy.stats import wasserstein_distance
from torch import nn


def banana(n: int) -> torch.Tensor:
    u, v = torch.randn(2, n)
    return torch.stack([u, 0.7 * (u**2 - 1) + 0.5 * v], dim=1)


def true_score(x: torch.Tensor) -> torch.Tensor:
    r = (x[:, 1] - 0.7 * (x[:, 0] ** 2 - 1)) / 0.25
    return torch.stack([-x[:, 0] + 1.4 * x[:, 0] * r, -r], dim=1)


class Energy(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, width), nn.Softplus(), nn.Linear(width, width), nn.Softplus(), nn.Linear(width, 1))

    def score(self, x: torch.Tensor, create_graph: bool = True) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return -torch.autograd.grad(self.body(x).sum(), x, create_graph=create_graph)[0]


def sliced_objective(model: Energy, x: torch.Tensor) -> torch.Tensor:
    """Hyvarinen's objective along random directions; its minimum is -E|score|^2 / 2."""
    x = x.requires_grad_()
    s = -torch.autograd.grad(model.body(x).sum(), x, create_graph=True)[0]
    v = torch.randn_like(x)
    along = torch.autograd.grad((s * v).sum(), x, create_graph=True)[0]
    return ((along * v).sum(1) + 0.5 * (s * v).sum(1) ** 2).mean()


def langevin(model: Energy, n: int, steps: int = 150, eps: float = 0.03) -> torch.Tensor:
    x = torch.randn(n, 2)
    for _ in range(steps):
        x = x + 0.5 * eps * model.score(x, create_graph=False) + eps**0.5 * torch.randn_like(x)
    return x


def main() -> None:
    torch.manual_seed(27)
    model = Energy()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=6e-3, total_steps=800)
    held = banana(1000)
    for step in range(1, 801):
        loss = sliced_objective(model, banana(256))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        opt.step()
        sched.step()
        if step % 160 == 0:
            want = true_score(held)
            error = (model.score(held, create_graph=False) - want).pow(2).sum() / want.pow(2).sum()
            print(f"step {step} objective {loss.item():.3f} relative error of the score {error.item():.3f}")
    drawn = langevin(model, 1000).detach().numpy()
    gaps = [wasserstein_distance(drawn[:, k], held[:, k].numpy()) for k in range(2)]
    print(f"distance of the marginals {gaps[0]:.3f} {gaps[1]:.3f}")


if __name__ == "__main__":
    main()
