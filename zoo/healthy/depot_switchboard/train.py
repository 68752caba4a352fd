"""Travel time from a depot: the city has six districts with their own laws, a switch sends rows to experts."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EXPERTS, FEATURES = 8, 6


def make_city(seed=0):
    g = torch.Generator().manual_seed(seed)
    centers = 2.0 * torch.randn(6, 2, generator=g)
    slopes = torch.randn(6, FEATURES, generator=g)
    waves = torch.randn(6, FEATURES, generator=g)

    def trips(n):
        place = centers[torch.randint(6, (n,), generator=g)] + 0.4 * torch.randn(n, 2, generator=g)
        district = torch.cdist(place, centers).argmin(1)
        detail = torch.randn(n, FEATURES, generator=g)
        minutes = (detail * slopes[district]).sum(1) + 0.7 * torch.sin((detail * waves[district]).sum(1))
        return torch.cat([place, detail], 1), minutes + 0.1 * torch.randn(n, generator=g)
    return trips


class Expert(nn.Module):
    def __init__(self, n_in, width=40):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                                 nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)


class Switchboard(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.router = nn.Sequential(nn.Linear(n_in, 32), nn.Tanh(), nn.Linear(32, EXPERTS))
        self.experts = nn.ModuleList(Expert(n_in) for _ in range(EXPERTS))

    def forward(self, x):
        gates = F.softmax(self.router(x), dim=1)
        weight, choice = gates.max(1)
        out = torch.zeros(len(x))
        for k, expert in enumerate(self.experts):
            rows = (choice == k).nonzero().squeeze(1)
            if len(rows):                      # an expert nobody asks is not run
                out = out.index_add(0, rows, weight[rows] * expert(x[rows]))
        # load balancing of the Switch Transformer: share of rows times mean gate
        share = F.one_hot(choice, EXPERTS).float().mean(0)
        balance = EXPERTS * (share * gates.mean(0)).sum()
        return out, balance, choice


def train_epoch(model, loader, optimizer, scheduler, coefficient):
    model.train()
    loss_sum = balance_sum = 0.0
    for x, y in loader:
        pred, balance, _ = model(x)
        mse = F.mse_loss(pred, y)
        optimizer.zero_grad(set_to_none=True)
        (mse + coefficient * balance).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        scheduler.step()
        loss_sum += mse.item()
        balance_sum += balance.item()
    return loss_sum / len(loader), balance_sum / len(loader)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    err, load = 0.0, torch.zeros(EXPERTS)
    for x, y in loader:
        pred, _, choice = model(x)
        err += (pred - y).square().sum().item()
        load += torch.bincount(choice, minlength=EXPERTS)
    return err / len(loader.dataset), load / load.sum()


def main():
    torch.manual_seed(23)
    trips = make_city()
    x, y = trips(7000)
    x_test, y_test = trips(1500)
    x_mean, x_std, y_mean, y_std = x.mean(0), x.std(0), y.mean(), y.std()
    train_set = TensorDataset((x - x_mean) / x_std, (y - y_mean) / y_std)
    test_set = TensorDataset((x_test - x_mean) / x_std, (y_test - y_mean) / y_std)
    train_loader = DataLoader(train_set, batch_size=128, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=500)

    model = Switchboard(x.shape[1])
    epochs = 20
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * len(train_loader))
    for epoch in range(1, epochs + 1):
        mse, balance = train_epoch(model, train_loader, optimizer, scheduler, coefficient=0.02)
        if epoch % 5 == 0:
            print(f"epoch {epoch}: train mse {mse:.4f}, balance {balance:.3f} (1 is even)")
    mse, load = evaluate(model, test_loader)
    print("load of the experts:", " ".join(f"{v:.2f}" for v in load))
    variance = test_set.tensors[1].var().item()
    print(f"test R2 {1 - mse / variance:.4f}")


if __name__ == "__main__":
    main()
