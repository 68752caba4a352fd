import torch
from sklearn.datasets import make_regression
from torch import nn

torch.manual_seed(2)
X, y = make_regression(500, 12, n_informative=6, noise=5.0, random_state=9)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32).view(-1, 1)
y = (y - y.mean()) / y.std()
X_fit, y_fit, X_out, y_out = X[:400], y[:400], X[400:], y[400:]

model = nn.Sequential(nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 1))
objective = nn.MSELoss()
solver = torch.optim.LBFGS(model.parameters(), lr=0.2, max_iter=4)

for outer in range(120):
    def closure():
        solver.zero_grad()
        value = objective(model(X_fit), y_fit)
        value.backward()
        return value

    value = solver.step(closure)
    if outer % 20 == 0 or outer == 119:
        with torch.no_grad():
            resid = y_out - model(X_out)
            r2 = 1 - resid.pow(2).sum() / (y_out - y_out.mean()).pow(2).sum()
        print(f"outer {outer:3d} objective {value.item():.5f} holdout r2 {r2.item():.4f}")
