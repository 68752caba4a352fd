import numpy as np
import torch
import torch.nn as nn

np.random.seed(2)
torch.manual_seed(2)
STATES, OUT, T = 4, 6, 20
trans = np.random.dirichlet(np.ones(STATES) * 0.3, STATES)
emit = np.random.dirichlet(np.ones(OUT) * 0.2, STATES)


def sequences(n):
    xs, zs = np.zeros((T, n), int), np.zeros((T, n), int)
    z = np.random.randint(0, STATES, n)
    for t in range(T):
        z = np.array([np.random.choice(STATES, p=trans[k]) for k in z])
        xs[t] = [np.random.choice(OUT, p=emit[k]) for k in z]
        zs[t] = z
    return torch.tensor(xs), torch.tensor(zs)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(OUT, 16)
        self.cell = nn.LSTMCell(16, 32)
        self.out = nn.Linear(32, STATES)

    def forward(self, x_t, state):
        h, c = self.cell(self.emb(x_t), state)
        return self.out(h), (h, c)


model = Tagger()
criterion = nn.CrossEntropyLoss()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
pool_x, pool_z = sequences(400)
test_x, test_z = sequences(200)


def zero_state(n):
    return torch.zeros(n, 32), torch.zeros(n, 32)


for it in range(150):
    pick = np.random.choice(400, 16, replace=False)
    x, z = pool_x[:, pick], pool_z[:, pick]
    state = zero_state(16)
    opt.zero_grad()
    loss = 0
    for t in range(T):
        logits, state = model(x[t], state)
        loss = loss + criterion(logits, z[t]) / T
    loss.backward()
    opt.step()
    if it % 30 == 29:
        state, right = zero_state(200), 0
        with torch.no_grad():
            for t in range(T):
                logits, state = model(test_x[t], state)
                right += (logits.argmax(1) == test_z[t]).sum().item()
        print("iter", it + 1, "loss", loss.item(), "tag accuracy", right / (200 * T))
