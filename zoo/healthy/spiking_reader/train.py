"""Spiking neurons read digits: pixels fire at random, neurons leak and fire, the derivative of a spike is a surrogate."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

TICKS = 12


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, potential):
        ctx.save_for_backward(potential)
        return (potential > 0).to(potential.dtype)

    @staticmethod
    def backward(ctx, grad):
        (potential,) = ctx.saved_tensors
        return grad / (1 + 5 * potential.abs()) ** 2


class LeakyLayer(nn.Module):
    """Integrates its input, leaks, fires at 1 and is then set back by 1."""

    def __init__(self, n_in, n_out, leak=0.85):
        super().__init__()
        self.synapses = nn.Linear(n_in, n_out)
        self.leak = leak

    def forward(self, train_of_spikes):
        currents = self.synapses(train_of_spikes)  # ticks x batch x neurons
        v = torch.zeros_like(currents[0])
        fired = []
        for current in currents:
            v = self.leak * v + current
            s = Spike.apply(v - 1.0)
            v = v - s.detach()
            fired.append(s)
        return torch.stack(fired)


class SpikingNet(nn.Module):
    def __init__(self, hidden=96):
        super().__init__()
        self.layer = LeakyLayer(64, hidden)
        self.readout = nn.Linear(hidden, 10)
        self.rates = torch.empty(0)

    def forward(self, brightness):
        incoming = (torch.rand(TICKS, *brightness.shape) < brightness).float()
        fired = self.layer(incoming)
        self.rates = fired.mean((0, 1))
        return self.readout(fired.mean(0))


class Trainer:
    def __init__(self, net, lr, quiet=0.05):
        self.net, self.quiet = net, quiet
        self.optimizer = torch.optim.Adam(net.parameters(), lr=lr)
        self.loss = nn.CrossEntropyLoss()

    def step(self, x, y):
        self.optimizer.zero_grad()
        out = self.net(x)
        # a little pressure against neurons that fire all the time
        loss = self.loss(out, y) + self.quiet * self.net.rates.square().mean()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def epoch(self, x, y, size=64):
        self.net.train()
        losses = [self.step(x[rows], y[rows]) for rows in torch.randperm(len(x)).split(size)]
        return sum(losses) / len(losses)

    @torch.no_grad()
    def accuracy(self, x, y):
        self.net.eval()
        return (self.net(x).argmax(1) == y).float().mean().item()


torch.manual_seed(57)
bunch = load_digits()
x_train, x_test, y_train, y_test = (
    torch.tensor(a)
    for a in train_test_split(bunch.data.astype("float32") / 16, bunch.target, test_size=0.25, random_state=57)
)
trainer = Trainer(SpikingNet(), lr=4e-3)
for epoch in range(1, 13):
    mean = trainer.epoch(x_train, y_train)
    print(
        f"epoch {epoch:2d} loss {mean:.3f} test accuracy {trainer.accuracy(x_test, y_test):.3f} "
        f"spikes per neuron and tick {trainer.net.rates.mean():.2f}"
    )
