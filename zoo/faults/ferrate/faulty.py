"""Energy of small random molecules from their bonds, by message passing over the disjoint union of a batch."""
import torch
import torch.nn as nn
import torch.nn.functional as F

TYPES = 6
CHARGE = torch.tensor([-1.2, -0.7, -0.2, 0.3, 0.8, 1.4])


def molecule(gen):
    """A random tree with a few closed rings: atom types, directed bonds, bond lengths, energy."""
    n = int(torch.randint(6, 13, (1,), generator=gen))
    z = torch.randint(0, TYPES, (n,), generator=gen)
    pairs = {(int(torch.randint(0, i, (1,), generator=gen)), i) for i in range(1, n)}
    for _ in range(2):
        i, j = torch.randint(0, n, (2,), generator=gen).tolist()
        if i != j:
            pairs.add((min(i, j), max(i, j)))
    bonds = torch.tensor(sorted(pairs)).t()
    length = 1 + 0.5 * torch.rand(bonds.shape[1], generator=gen)
    energy = (CHARGE[z[bonds[0]]] * CHARGE[z[bonds[1]]] / length).sum()
    return z, torch.cat([bonds, bonds.flip(0)], 1), length.repeat(2), energy


def collate(mols):
    z, bonds, length, owner, energy, shift = [], [], [], [], [], 0
    for k, (zk, bk, lk, ek) in enumerate(mols):
        z.append(zk)
        bonds.append(bk + shift)
        length.append(lk)
        owner.append(torch.full_like(zk, k))
        energy.append(ek)
        shift += len(zk)
    return torch.cat(z), torch.cat(bonds, 1), torch.cat(length), torch.cat(owner), torch.stack(energy)


def scatter_sum(values, index, size):
    total = values.new_zeros(size, values.shape[1])
    total.data.index_add_(0, index, values)
    return total


class Round(nn.Module):
    """One exchange between neighbours, then a gated update of the atoms."""

    def __init__(self, dim):
        super().__init__()
        self.message = nn.Sequential(nn.Linear(2 * dim + 1, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.update = nn.GRUCell(dim, dim)

    def forward(self, h, bonds, length):
        src, dst = bonds
        m = self.message(torch.cat([h[src], h[dst], length[:, None] - 1.25], 1))
        return self.update(scatter_sum(m, dst, len(h)), h)


class EnergyNet(nn.Module):
    def __init__(self, dim=32, rounds=2):
        super().__init__()
        self.atom = nn.Embedding(TYPES, dim)
        self.rounds = nn.ModuleList(Round(dim) for _ in range(rounds))
        self.out = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, 1))

    def forward(self, z, bonds, length, owner):
        h = self.atom(z)
        for r in self.rounds:
            h = r(h, bonds, length)
        return self.out(scatter_sum(h, owner, int(owner.max()) + 1) / 8).squeeze(1)


def test_r2(model, batch):
    *inputs, energy = batch
    model.eval()
    with torch.no_grad():
        rest = F.mse_loss(model(*inputs), energy)
    model.train()
    return 1 - (rest / energy.var(unbiased=False)).item()


def main():
    torch.manual_seed(31)
    gen = torch.Generator().manual_seed(31)
    mols = [molecule(gen) for _ in range(1300)]
    train, test = mols[:1000], collate(mols[1000:])
    model = EnergyNet()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 16)
    for epoch in range(1, 17):
        for rows in torch.randperm(len(train), generator=gen).split(50):
            *inputs, energy = collate([train[i] for i in rows.tolist()])
            loss = F.mse_loss(model(*inputs), energy)
            opt.zero_grad()
            loss.backward()
            opt.step()
        sched.step()
        if epoch % 4 == 0:
            print(f"epoch {epoch} loss {loss.item():.3f} r2 {test_r2(model, test):.3f}")


if __name__ == "__main__":
    main()
