"""Federated learning for village dispensaries: each has its own few kinds of handwritten prescription digits.

Clients train side by side under vmap; the server treats their mean displacement as a gradient and hands it to Adam."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.func import functional_call, grad, vmap

VILLAGES, PER_ROUND, ROUNDS, LOCAL_STEPS, LOCAL_BATCH = 12, 6, 80, 8, 20
LOCAL_LR, SERVER_LR, CONCENTRATION = 0.1, 0.01, 0.4


def make_model():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)),
        nn.Conv2d(1, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.GroupNorm(3, 24), nn.ReLU(), nn.Flatten(),
        nn.Linear(24 * 16, 10),
    )


def scatter(labels, g):
    """Dirichlet split by label: a village sees some digits often and others hardly ever."""
    owner = torch.empty(len(labels), dtype=torch.long)
    for digit in range(10):
        mine = torch.nonzero(labels == digit).squeeze(1)
        share = torch._standard_gamma(torch.full((VILLAGES,), CONCENTRATION), generator=g) + 0.02
        owner[mine] = torch.multinomial(share, len(mine), replacement=True, generator=g)
    return [torch.nonzero(owner == v).squeeze(1) for v in range(VILLAGES)]


def main():
    torch.manual_seed(6)
    g = torch.Generator().manual_seed(6)
    x, y = load_digits(return_X_y=True)
    xa, xt, ya, yt = train_test_split(x, y, test_size=0.25, stratify=y, random_state=6)
    xa, xv, ya, yv = train_test_split(xa, ya, test_size=0.15, stratify=ya, random_state=6)
    centre, spread = xa.mean(), xa.std()
    image = lambda a: torch.tensor((a - centre) / spread, dtype=torch.float32).view(-1, 8, 8)
    xa, xv, xt = image(xa), image(xv), image(xt)
    ya, yv, yt = torch.tensor(ya), torch.tensor(yv), torch.tensor(yt)
    holdings = scatter(ya, g)
    sizes = torch.tensor([float(len(h)) for h in holdings])

    server = make_model()
    names = [n for n, _ in server.named_parameters()]
    # FedAdam: a large eps, since the displacements are small and few villages report each round
    optimizer = torch.optim.Adam(server.parameters(), lr=SERVER_LR, betas=(0.9, 0.99), eps=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, ROUNDS)

    def local_loss(params, xb, yb):
        return F.cross_entropy(functional_call(server, params, (xb,)), yb)

    local_grad = vmap(grad(local_loss))

    def visit(chosen):
        """Local SGD in all the chosen villages at once, from the present server weights."""
        params = {n: p.detach().expand(len(chosen), *p.shape).clone() for n, p in server.named_parameters()}
        for _ in range(LOCAL_STEPS):
            rows = torch.stack([holdings[v][torch.randint(len(holdings[v]), (LOCAL_BATCH,), generator=g)] for v in chosen])
            grads = local_grad(params, xa[rows], ya[rows])
            params = {n: params[n] - LOCAL_LR * grads[n] for n in names}
        return params

    @torch.no_grad()
    def accuracy(xs, ys):
        return (server(xs).argmax(1) == ys).float().mean().item()

    print("digits held per village:", [int(s) for s in sizes])
    for r in range(1, ROUNDS + 1):
        chosen = torch.randperm(VILLAGES, generator=g)[:PER_ROUND].tolist()
        weight = sizes[chosen] / sizes[chosen].sum()
        came_back = visit(chosen)
        with torch.no_grad():
            for n, p in server.named_parameters():
                p.grad = p - torch.tensordot(weight, came_back[n], dims=1)
        optimizer.step()
        schedule.step()
        if r % 10 == 0:
            with torch.no_grad():
                loss = F.cross_entropy(server(xv), yv).item()
            print(f"round {r:3d}  validation loss {loss:.3f}  accuracy {accuracy(xv, yv):.3f}")
    print(f"server model on held-out prescriptions: accuracy {accuracy(xt, yt):.3f}")


if __name__ == "__main__":
    main()
