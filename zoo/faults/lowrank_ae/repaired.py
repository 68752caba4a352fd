import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from torch.utils.data import DataLoader


class AutoEncoder(nn.Module):
    def __init__(self, n, code):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n, 32), nn.ELU(), nn.Linear(32, code))
        self.decoder = nn.Sequential(
            nn.Linear(code, 32),
            nn.ELU(),
            nn.Linear(32, n),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


def main():
    torch.manual_seed(19)
    x = torch.tensor(load_wine().data, dtype=torch.float32)
    x = x[torch.randperm(len(x))]
    x = (x - x[:140].mean(0)) / x[:140].std(0)
    train, test = x[:140], x[140:]
    loader = DataLoader(train, batch_size=20, shuffle=True)
    ae = AutoEncoder(13, 6)
    opt = torch.optim.Adam(ae.parameters(), lr=3e-3, betas=(0.9, 0.99))
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=150)
    crit = nn.MSELoss()
    for epoch in range(150):
        ae.train()
        total = 0.0
        for xb in loader:
            opt.zero_grad()
            loss = crit(ae(xb), xb)
            loss.backward()
            opt.step()
            total += loss.item()
        sched.step()
        if epoch % 15 == 14:
            ae.eval()
            with torch.no_grad():
                ev = 1 - (ae(test) - test).pow(2).sum() / test.pow(2).sum()
            print(f"epoch {epoch + 1} mse {total / len(loader):.4f} explained {ev.item():.3f}")


main()
