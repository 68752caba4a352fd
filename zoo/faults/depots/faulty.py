import torch
from torch import nn

# Each depot learns the strain on itself from the stock of the depots it has a road to.
torch.manual_seed(77)
N_NODES, N_GRAPHS, HEADS = 20, 700, 2


def sample_graphs(count):
    coords = torch.rand(count, N_NODES, 2)
    roads = torch.cdist(coords, coords) < 0.28  # a depot reaches itself
    stock = torch.randn(count, N_NODES)
    demand = torch.randn(count, N_NODES)
    w = roads.float()
    supply = torch.einsum("gij,gj->gi", w, stock) / w.sum(-1)
    strain = torch.tanh(demand - 3 * supply)
    return torch.stack([stock, demand], dim=-1), roads, strain


class RoadLayer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, HEADS, batch_first=True)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, h, roads):
        mask = roads.repeat_interleave(HEADS, dim=0)
        z = self.norm1(h)
        h = h + self.attn(z, z, z, attn_mask=mask, need_weights=False)[0]
        return h + self.mlp(self.norm2(h))


class RoadFormer(nn.Module):
    def __init__(self, dim=32, depth=2):
        super().__init__()
        self.inp = nn.Linear(2, dim)
        self.layers = nn.ModuleList(RoadLayer(dim) for _ in range(depth))
        self.out = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))

    def forward(self, x, roads):
        h = self.inp(x)
        for layer in self.layers:
            h = layer(h, roads)
        return self.out(h).squeeze(-1)


x, roads, y = sample_graphs(N_GRAPHS)
x_val, roads_val, y_val = sample_graphs(200)
net = RoadFormer()
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
epochs, size = 12, 32
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=epochs * -(-N_GRAPHS // size))
for epoch in range(epochs):
    net.train()
    running = 0.0
    for rows in torch.randperm(N_GRAPHS).split(size):
        loss = nn.functional.mse_loss(net(x[rows], roads[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        running += loss.item() * len(rows) / N_GRAPHS
    net.eval()
    with torch.no_grad():
        val = nn.functional.mse_loss(net(x_val, roads_val), y_val)
    print(f"{epoch:2d} train {running:.4f} val {val.item():.4f} explained {1 - val.item() / y_val.var().item():.3f}")
