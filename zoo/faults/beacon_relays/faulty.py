"""Hilltop beacons: only the first beacon of each relay knows the message, and the last one must read it.
An implicit graph network: the node states are the fixed point of one contraction, and the backward pass solves
the adjoint fixed point inside a tensor hook, so no iteration is ever stored."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

MESSAGES, NODES, WIDTH, KAPPA = 4, 20, 16, 0.97


def relay(g):
    """Each beacon watches one or two of the three before it, and sometimes the one after it as well."""
    edges = []
    for child in range(1, NODES):
        seen = torch.randperm(min(child, 3), generator=g)[: int(torch.randint(1, 3, (), generator=g))]
        edges += [(child, child - 1 - int(k)) for k in seen]
        if child < NODES - 1 and torch.rand((), generator=g) < 0.2:
            edges.append((child, child + 1))
    message = int(torch.randint(MESSAGES, (), generator=g))
    x = torch.cat([0.3 * torch.randn(NODES, MESSAGES, generator=g), torch.zeros(NODES, 1)], 1)
    x[0, message] += 2.0
    x[0, MESSAGES] = 1.0
    return torch.tensor(edges).T, x, message


def collate(relays):
    """Stack relays into one block-diagonal graph with a row-normalised sparse adjacency."""
    idx = torch.cat([e + i * NODES for i, (e, _, _) in enumerate(relays)], 1)
    n = len(relays) * NODES
    watched = torch.bincount(idx[0], minlength=n).clamp(min=1).float()
    adj = torch.sparse_coo_tensor(idx, 1.0 / watched[idx[0]], (n, n), check_invariants=True).coalesce()
    last = torch.arange(len(relays)) * NODES + NODES - 1
    return adj, torch.cat([x for _, x, _ in relays]), last, torch.tensor([m for _, _, m in relays])


class RowBall(nn.Module):
    """Keeps every absolute row sum at or under KAPPA, which makes the update a contraction."""

    def forward(self, w):
        return w * (KAPPA / w.abs().sum(1, keepdim=True).clamp(min=KAPPA))


class ImplicitGraphNet(nn.Module):
    def __init__(self, tol=1e-5, most=120):
        super().__init__()
        self.carry = nn.Linear(WIDTH, WIDTH, bias=False)
        with torch.no_grad():
            self.carry.weight.copy_(0.95 * torch.eye(WIDTH) + 0.01 * torch.randn(WIDTH, WIDTH))
        parametrize.register_parametrization(self.carry, "weight", RowBall())
        self.inject = nn.Sequential(nn.Linear(MESSAGES + 1, 24), nn.ReLU(), nn.Linear(24, WIDTH))
        self.read = nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, MESSAGES))
        self.tol, self.most = tol, most
        self.depth = {"forward": 0, "backward": 0}

    def solve(self, f, z, name):
        for i in range(self.most):
            nxt = f(z)
            gap = (nxt - z).abs().max()
            z = nxt
            if gap < self.tol * z.abs().max().clamp(min=1e-8):
                break
        self.depth[name] = i + 1
        return z

    def forward(self, adj, x):
        with parametrize.cached():
            drive = self.inject(x)
            update = lambda z: F.relu(self.carry(torch.sparse.mm(adj, z)) + drive)
            with torch.no_grad():
                z_star = self.solve(update, torch.zeros_like(drive), "forward")
            if not torch.is_grad_enabled():
                return self.read(z_star)
            z = update(z_star)                                   # attaches the parameters
            z0 = z.detach().requires_grad_()
            f0 = update(z0)                                      # for the adjoint products only

        def adjoint(grad):
            product = lambda v: grad + torch.autograd.grad(f0, z0, v, retain_graph=True)[0]
            return self.solve(product, grad, "backward")

        z.register_hook(adjoint)
        return self.read(z)


def accuracy(model, relays):
    model.eval()
    with torch.no_grad():
        adj, x, last, y = collate(relays)
        return (model(adj, x)[last].argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(2)
    g = torch.Generator().manual_seed(2)
    relays = [relay(g) for _ in range(900)]
    train, val, test = relays[:500], relays[500:600], relays[600:]
    model = ImplicitGraphNet()
    opt = torch.optim.Adam(model.parameters(), lr=5e-3)
    epochs = 16
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for batch in torch.randperm(len(train), generator=g).split(25):
            adj, x, _, y = collate([train[i] for i in batch.tolist()])
            loss = F.cross_entropy(model(adj, x), y.repeat_interleave(NODES))     # every beacon should know
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(y)
        sched.step()
        if epoch % 2 == 1:
            print(f"epoch {epoch + 1:2d}  loss {total / len(train):.4f}  iterations {model.depth['forward']}/{model.depth['backward']}  "
                  f"val accuracy {accuracy(model, val):.3f}")
    print(f"messages read by the last beacon of unseen relays: {accuracy(model, test):.3f} (chance {1 / MESSAGES:.2f})")


if __name__ == "__main__":
    main()
