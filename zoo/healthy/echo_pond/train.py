"""Echo state network: infer the hidden z of a Lorenz system from a noisy record of x. Seminar on reservoir computing."""
import torch
from torch import nn


def lorenz(runs, length, dt=0.02, skip=250):
    s = torch.randn(runs, 3) * 5 + torch.tensor([0.0, 0.0, 25.0])
    path = []
    for i in range(skip + length):
        for _ in range(4):
            x, y, z = s.unbind(1)
            s = s + dt / 4 * torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], 1)
        if i >= skip:
            path.append(s)
    path = torch.stack(path, 1)
    return path[..., :1] / 8 + 0.02 * torch.randn(runs, length, 1), (path[..., 2:] - 24) / 8


class Reservoir(nn.Module):
    """The pond is random and stays random. Only the readout is fitted."""

    def __init__(self, units=160, radius=0.9, leak=0.5):
        super().__init__()
        w = torch.randn(units, units) * (torch.rand(units, units) < 0.1)
        w = w * (radius / torch.linalg.eigvals(w).abs().max())
        self.w = nn.Parameter(w, requires_grad=False)
        self.w_in = nn.Parameter(torch.empty(1, units).uniform_(-1, 1), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(units).uniform_(-0.5, 0.5), requires_grad=False)
        self.leak = leak
        self.readout = nn.Linear(units, 1)

    @torch.no_grad()
    def states(self, u):
        h = u.new_zeros(u.shape[0], self.w.shape[0])
        out = []
        for t in range(u.shape[1]):
            h = (1 - self.leak) * h + self.leak * torch.tanh(u[:, t] @ self.w_in + h @ self.w + self.bias)
            out.append(h)
        return torch.stack(out, 1)

    def forward(self, u, washout=20):
        return self.readout(self.states(u)[:, washout:])


def nrmse(model, u, z):
    with torch.no_grad():
        target = z[:, 20:]
        return ((model(u) - target).pow(2).mean().sqrt() / target.std()).item()


if __name__ == "__main__":
    torch.manual_seed(9)
    u_train, z_train = lorenz(320, 100)
    u_test, z_test = lorenz(80, 100)
    model = Reservoir()
    opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 240)
    for step in range(1, 241):
        pick = torch.randint(0, 320, (48,))
        loss = (model(u_train[pick]) - z_train[pick, 20:]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        plan.step()
        if step % 40 == 0:
            print(f"step {step} loss {loss.item():.4f} held-out nrmse {nrmse(model, u_test, z_test):.3f}")
