# guess how many stars a member gives a book
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(17)

N_MEMBERS, N_BOOKS, N_TASTES = 150, 120, 3


class StarsDataset(Dataset):
    def __init__(self, members, books, stars):
        self.members = members
        self.books = books
        self.stars = stars

    def __len__(self):
        return len(self.stars)

    def __getitem__(self, i):
        return self.members[i], self.books[i], self.stars[i]


def make_data():
    taste = torch.randn(N_MEMBERS, N_TASTES)
    style = torch.randn(N_BOOKS, N_TASTES)
    popular = 0.5 * torch.randn(N_BOOKS)
    everything = torch.cartesian_prod(torch.arange(N_MEMBERS), torch.arange(N_BOOKS))
    seen = everything[torch.randperm(len(everything))[:6000]]
    m, b = seen[:, 0], seen[:, 1]
    stars = 3 + 0.6 * (taste[m] * style[b]).sum(1) + popular[b] + 0.3 * torch.randn(len(seen))
    stars = stars.clamp(1, 5)
    cut = 5000
    return StarsDataset(m[:cut], b[:cut], stars[:cut]), StarsDataset(m[cut:], b[cut:], stars[cut:])


class Recommender(nn.Module):
    def __init__(self, dim=6):
        super().__init__()
        self.members = nn.Embedding(N_MEMBERS, dim)
        self.books = nn.Embedding(N_BOOKS, dim)
        nn.init.normal_(self.members.weight, std=0.3)
        nn.init.normal_(self.books.weight, std=0.3)
        self.net = nn.Sequential(nn.Linear(3 * dim, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, m, b):
        v = self.members(m)
        w = self.books(b)
        return 3 + self.net(torch.cat([v, w, v * w], dim=1)).squeeze(1)


class Trainer:
    def __init__(self, model, train_set, test_set):
        self.model = model
        self.train_loader = DataLoader(train_set, batch_size=100, shuffle=True)
        self.test_loader = DataLoader(test_set, batch_size=500)
        self.loss_fn = nn.MSELoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-5)

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for m, b, stars in self.train_loader:
            pred = self.model(m, b)
            loss = self.loss_fn(pred, stars)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total / len(self.train_loader)

    def rmse(self):
        self.model.eval()
        squares, n = 0.0, 0
        with torch.no_grad():
            for m, b, stars in self.test_loader:
                squares += ((self.model(m, b) - stars) ** 2).sum().item()
                n += len(stars)
        return (squares / n) ** 0.5

    def fit(self, epochs):
        for e in range(1, epochs + 1):
            loss = self.train_epoch()
            print(f"Epoch {e}/{epochs} - loss {loss:.4f} - test rmse {self.rmse():.4f}")


train_set, test_set = make_data()
trainer = Trainer(Recommender(), train_set, test_set)
trainer.fit(10)
