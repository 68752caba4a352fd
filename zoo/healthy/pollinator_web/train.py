"""Which habitat does a bee species belong to? An implicit graph layer solved to its fixed point."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HABITATS, SPECIES, FEATURES = 4, 640, 24


def visit_web(seed):
    rng = np.random.default_rng(seed)
    home = rng.integers(0, HABITATS, SPECIES)
    same = home[:, None] == home[None, :]
    links = np.triu(rng.random((SPECIES, SPECIES)) < np.where(same, 0.035, 0.004), 1)
    links = (links | links.T).astype(np.float32) + np.eye(SPECIES, dtype=np.float32)
    degree = links.sum(1)
    spread = torch.from_numpy(links / np.sqrt(degree[:, None] * degree[None, :])).to_sparse().coalesce()
    centres = rng.normal(0, 0.45, (HABITATS, FEATURES))
    traits = centres[home] + rng.normal(0, 1.0, (SPECIES, FEATURES))
    order = rng.permutation(SPECIES)
    return spread, torch.from_numpy(traits.astype(np.float32)), torch.from_numpy(home), order[:120], order[120:240], order[240:]


class Equilibrium(nn.Module):
    """Z = tanh(A Z W + U), with ||W|| < 1 so that the iteration settles on one answer."""

    def __init__(self, width, keep=0.9, steps=40, tolerance=1e-4):
        super().__init__()
        self.raw = nn.Parameter(torch.randn(width, width) / width ** 0.5)
        self.keep, self.steps, self.tolerance = keep, steps, tolerance
        self.iterations = {"forward": 0, "backward": 0}

    def weight(self):
        norm = torch.linalg.matrix_norm(self.raw, 2)
        return self.keep * self.raw / norm.clamp_min(1.0)

    def settle(self, step, start, which):
        z = start
        for number in range(1, self.steps + 1):
            new = step(z)
            gap = (new - z).norm() / (new.norm() + 1e-8)
            z = new
            if gap < self.tolerance:
                break
        self.iterations[which] = number
        return z

    def forward(self, spread, drive):
        w = self.weight()
        with torch.no_grad():
            rest = self.settle(lambda z: torch.tanh(torch.sparse.mm(spread, z) @ w + drive), torch.zeros_like(drive), "forward")
        z = torch.tanh(torch.sparse.mm(spread, rest) @ w + drive)
        if torch.is_grad_enabled() and z.requires_grad:
            anchor = rest.clone().requires_grad_()
            again = torch.tanh(torch.sparse.mm(spread, anchor) @ w.detach() + drive.detach())

            def solve_adjoint(grad):
                def step(g):
                    return torch.autograd.grad(again, anchor, g, retain_graph=True)[0] + grad
                return self.settle(step, grad, "backward")

            z.register_hook(solve_adjoint)
        return z


class Web(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.lift = nn.Linear(FEATURES, width)
        self.drop = nn.Dropout(0.4)
        self.settled = Equilibrium(width)
        self.out = nn.Linear(width, HABITATS)

    def forward(self, spread, x):
        return self.out(self.drop(self.settled(spread, self.lift(self.drop(x)))))


def main():
    torch.manual_seed(4)
    spread, x, home, train, val, test = visit_web(4)
    x = (x - x.mean(0)) / x.std(0)
    net = Web()
    norms = {}
    for name, p in net.named_parameters():
        p.register_hook(lambda g, name=name: norms.__setitem__(name, g.norm().item()))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-3)
    best, kept = 0.0, None
    for epoch in range(80):
        net.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(net(spread, x)[train], home[train])
        loss.backward()
        optimizer.step()
        net.eval()
        with torch.no_grad():
            right = net(spread, x).argmax(1) == home
        score = right[val].float().mean().item()
        if score > best:
            best, kept = score, {k: v.clone() for k, v in net.state_dict().items()}
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {loss.item():.4f} val {score:.3f} solver {net.settled.iterations} "
                  f"gradient at the fixed-point weight {norms['settled.raw']:.2e}")
    net.load_state_dict(kept)
    net.eval()
    with torch.no_grad():
        right = net(spread, x).argmax(1) == home
    print(f"test accuracy {right[test].float().mean().item():.3f} (chance {1 / HABITATS:.2f})")


if __name__ == "__main__":
    main()
