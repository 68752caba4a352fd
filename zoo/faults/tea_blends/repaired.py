"""How much of each of six leaves is in a blend? Shares are read off an absorption spectrum."""
import torch
import torch.nn as nn
import torch.nn.functional as F

N_LEAVES = 6
N_BANDS = 50
BATCH = 40


def leaf_spectra():
    bands = torch.linspace(0, 1, N_BANDS)
    rows = []
    for k in range(N_LEAVES):
        a = torch.exp(-((bands - (0.1 + 0.15 * k)) ** 2) / 0.008)
        b = torch.exp(-((bands - (0.9 - 0.11 * k)) ** 2) / 0.02)
        rows.append(a + 0.6 * b)
    return torch.stack(rows)


def brew(n, spectra):
    shares = torch.distributions.Dirichlet(torch.full((N_LEAVES,), 0.9)).sample((n,))
    strength = 0.7 + 0.6 * torch.rand(n, 1)
    absorbed = 1 - torch.exp(-1.5 * strength * (shares @ spectra))
    return absorbed + 0.02 * torch.randn(n, N_BANDS), shares


class Net(nn.Module):
    def __init__(self, hidden=120):
        super().__init__()
        self.fc1 = nn.Linear(N_BANDS, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, N_LEAVES)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def train(net, x, shares, optimizer, criterion):
    net.train()
    total = 0.0
    perm = torch.randperm(len(x))
    for start in range(0, len(x), BATCH):
        idx = perm[start:start + BATCH]
        optimizer.zero_grad()
        output = F.log_softmax(net(x[idx]), dim=1)
        loss = criterion(output, shares[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    return total / len(x)


def test(net, x, shares):
    net.eval()
    with torch.no_grad():
        guess = F.softmax(net(x), dim=1)
    error = (guess - shares).abs().mean().item()
    main_leaf = (guess.argmax(1) == shares.argmax(1)).float().mean().item()
    return error, main_leaf


torch.manual_seed(5)
spectra = leaf_spectra()
x_train, s_train = brew(1600, spectra)
x_test, s_test = brew(500, spectra)
center, spread = x_train.mean(0), x_train.std(0)
x_train = (x_train - center) / spread
x_test = (x_test - center) / spread

net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
criterion = nn.KLDivLoss(reduction="batchmean")

for epoch in range(1, 16):
    loss = train(net, x_train, s_train, optimizer, criterion)
    if epoch % 5 == 0:
        error, main_leaf = test(net, x_test, s_test)
        print(f"epoch {epoch} loss {loss:.4f} share error {error:.4f} main leaf {main_leaf:.3f}")
