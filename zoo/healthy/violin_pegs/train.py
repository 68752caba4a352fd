"""Meta-learned tuning curves: adapt a pitch model to a new violin from ten readings."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap

torch.manual_seed(14)
SHOTS, QUERY, INNER_STEPS = 10, 16, 2

net = nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))


def draw_violins(n, points):
    """Each violin bends pitch by a damped sine of the peg angle with its own height, phase and damping."""
    height = torch.empty(n, 1, 1).uniform_(0.6, 2.0)
    phase = torch.empty(n, 1, 1).uniform_(0, torch.pi)
    damping = torch.empty(n, 1, 1).uniform_(0.0, 0.3)
    angle = torch.empty(n, points, 1).uniform_(-3, 3)
    pitch = height * torch.exp(-damping * angle.abs()) * torch.sin(1.5 * angle + phase)
    return angle / 3 * 1.7, pitch


def split(task):
    angle, pitch = task
    return (angle[:, :SHOTS], pitch[:, :SHOTS]), (angle[:, SHOTS:], pitch[:, SHOTS:])


def loss_of(params, angle, pitch):
    return F.mse_loss(functional_call(net, params, (angle,)), pitch)


def adapt(params, rates, angle, pitch, steps):
    for _ in range(steps):
        grads = grad(loss_of)(params, angle, pitch)
        params = {k: params[k] - rates[k].exp() * grads[k] for k in params}
    return params


def query_loss(params, rates, support, query, steps=INNER_STEPS):
    def one(sa, sp, qa, qp):
        return loss_of(adapt(params, rates, sa, sp, steps), qa, qp)

    return vmap(one)(*support, *query)


params = dict(net.named_parameters())
rates = {k: torch.tensor(-2.3, requires_grad=True) for k in params}
META_STEPS = 900
optimizer = torch.optim.Adam([
    {"params": list(params.values()), "lr": 3e-3},
    {"params": list(rates.values()), "lr": 1e-2},
])
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, META_STEPS)

val_tasks = split(draw_violins(150, SHOTS + QUERY))
test_tasks = split(draw_violins(500, SHOTS + QUERY))


@torch.no_grad()
def report(tasks, steps):
    return query_loss(params, rates, *tasks, steps=steps).mean().item()


for step in range(1, META_STEPS + 1):
    support, query = split(draw_violins(25, SHOTS + QUERY))
    loss = query_loss(params, rates, support, query).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(list(params.values()), 10.0)
    optimizer.step()
    scheduler.step()
    if step % 100 == 0:
        print(f"step {step}  meta loss {loss.item():.4f}  val before {report(val_tasks, 0):.3f}  "
              f"after {report(val_tasks, INNER_STEPS):.4f}")

variance = test_tasks[1][1].var().item()
after = report(test_tasks, INNER_STEPS)
print(f"inner rates {min(r.exp().item() for r in rates.values()):.3f} to "
      f"{max(r.exp().item() for r in rates.values()):.3f}")
print(f"new violins: variance {variance:.3f}, before {report(test_tasks, 0):.3f}, after {after:.4f}, "
      f"explained {1 - after / variance:.3f}")
