import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

np.random.seed(7)
torch.manual_seed(7)
N = 150


class Ratings(Dataset):
    def __init__(self, users, items, ratings):
        self.users, self.items, self.ratings = users, items, ratings

    def __len__(self):
        return len(self.users)

    def __getitem__(self, i):
        return self.users[i], self.items[i], self.ratings[i]


taste, kind = np.random.randn(N, 4), np.random.randn(N, 4)
u = np.random.randint(0, N, 12000)
v = np.random.randint(0, N, 12000)
r = ((taste[u] * kind[v]).sum(1) / 2 + 0.1 * np.random.randn(12000)).astype(np.float32)
train = Ratings(u[:10000], v[:10000], r[:10000])
test = Ratings(u[10000:], v[10000:], r[10000:])


class MatrixFactorization(nn.Module):
    def __init__(self, n_users, n_items, k=8):
        super().__init__()
        self.user_factors = nn.Embedding(n_users, k)
        self.item_factors = nn.Embedding(n_items, k)
        self.user_bias = nn.Embedding(n_users, 1)
        self.item_bias = nn.Embedding(n_items, 1)
        for e in self.children():
            nn.init.normal_(e.weight, std=0.3)

    def forward(self, user, item):
        p = self.user_factors(user)
        q = self.user_factors(item)
        return (p * q).sum(1) + self.user_bias(user).squeeze(1) + self.item_bias(item).squeeze(1)


model = MatrixFactorization(N, N)
opt = torch.optim.Adam(model.parameters(), lr=0.02)
mse = nn.MSELoss()
loader = DataLoader(train, batch_size=128, shuffle=True)
for epoch in range(8):
    losses = []
    for user, item, rating in loader:
        opt.zero_grad()
        loss = mse(model(user, item), rating)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print("epoch", epoch, "mse", np.mean(losses))
with torch.no_grad():
    model.eval()
    pred = model(torch.tensor(test.users), torch.tensor(test.items))
    print("test rmse", ((pred - torch.tensor(test.ratings)) ** 2).mean().sqrt().item())
