import numpy as np
import torch
from torch import nn

torch.manual_seed(5)
rng = np.random.default_rng(5)
torch.set_default_dtype(torch.float64)

# initial rates (micromolar per second) of an enzyme at various substrate and inhibitor concentrations and pH
n = 160
substrate = 10 ** rng.uniform(-1, 2, n)
inhibitor = rng.choice([0.0, 0.5, 2.0, 8.0], n)
ph = rng.uniform(5.5, 9.0, n)
activity = 1 / (1 + 10 ** (6.3 - ph) + 10 ** (ph - 8.4))
true_rate = 4.2 * activity * substrate / (3.0 * (1 + inhibitor / 1.5) + substrate)
rate = true_rate * np.exp(0.05 * rng.normal(size=n))

features = np.stack([np.log10(substrate), np.log1p(inhibitor), ph], axis=1)
order = rng.permutation(n)
fit_rows, stop_rows, test_rows = order[:100], order[100:130], order[130:]
center, spread = features[fit_rows].mean(0), features[fit_rows].std(0)
X = torch.tensor((features - center) / spread)
log_rate = np.log(rate)
level, width = log_rate[fit_rows].mean(), log_rate[fit_rows].std()
Y = torch.tensor((log_rate - level) / width)

net = nn.Sequential(nn.Linear(3, 10), nn.Tanh(), nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 1), nn.Flatten(0))
opt = torch.optim.Rprop(net.parameters(), lr=0.01)

best_error, best_state, waited = np.inf, None, 0
for iteration in range(1, 1201):
    opt.zero_grad()
    misfit = (net(X[fit_rows]) - Y[fit_rows]).pow(2).mean()
    decay = sum(w.pow(2).sum() for w in net.parameters() if w.ndim == 2)
    objective = misfit + 1e-4 * decay
    objective.backward()
    opt.step()

    with torch.no_grad():
        stop_error = (net(X[stop_rows]) - Y[stop_rows]).pow(2).mean().item()
    if stop_error < best_error:
        best_error, waited = stop_error, 0
        best_state = {k: v.clone() for k, v in net.state_dict().items()}
    else:
        waited += 1
        if waited == 300:
            print("stopped at", iteration)
            break
    if iteration % 100 == 0:
        print(f"iteration {iteration}: misfit {misfit.item():.5f}, held back {stop_error:.5f}")

net.load_state_dict(best_state)
with torch.no_grad():
    predicted = np.exp(net(X[test_rows]).numpy() * width + level)
off = np.abs(np.log(predicted / rate[test_rows]))
print(f"typical deviation on {len(test_rows)} new measurements: {100 * np.median(off):.1f} % (repeatability 5 %)")
ss = 1 - np.sum((np.log(predicted) - log_rate[test_rows]) ** 2) / np.sum((log_rate[test_rows] - level) ** 2)
print(f"R2 of the log rate {ss:.3f}")
