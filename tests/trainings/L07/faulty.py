"""Disease progression after one year from ten measurements; the loss is written out by hand."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes

rng = np.random.RandomState(1)
torch.manual_seed(1)

table = load_diabetes()
held_out = 80
seen, answers = table.data[:-held_out], table.target[:-held_out]
features = torch.from_numpy(((table.data - seen.mean(axis=0)) / seen.std(axis=0)).astype("float32"))
target = torch.from_numpy(((table.target - answers.mean()) / answers.std()).astype("float32"))

net = torch.nn.Sequential(
    torch.nn.Linear(10, 24),
    torch.nn.Tanh(),
    torch.nn.Linear(24, 1),
)
adam = torch.optim.Adam(net.parameters(), lr=5e-3)

for step in range(120):
    rows = rng.choice(len(features) - held_out, size=48, replace=False)
    x, y = features[rows], target[rows]
    prediction = net(x)
    loss = ((prediction - y) ** 2).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    if step % 20 == 19:
        net.eval()
        with torch.no_grad():
            guess = net(features[-held_out:])[:, 0]
            r = torch.corrcoef(torch.stack([guess, target[-held_out:]]))[0, 1].item()
        net.train()
        print(f"step {step + 1:3d}  loss {loss.item():.3f}  spread {guess.std().item():.3f}  correlation {r:.3f}")
