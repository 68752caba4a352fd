import math
import torch
import torch.nn as nn


class DeepNet(nn.Module):
    def __init__(self, dim_in, hidden, depth, dim_out):
        super().__init__()
        self.stem = nn.Linear(dim_in, hidden)
        self.hidden = [nn.Linear(hidden, hidden) for _ in range(depth)]
        self.head = nn.Linear(hidden, dim_out)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.head(x)


def arms(n, k, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, k, (n,), generator=g)
    r = torch.rand(n, generator=g)
    a = 2 * math.pi * y / k + 5.0 * r + 0.12 * torch.randn(n, generator=g)
    return torch.stack([r * a.cos(), r * a.sin()], 1) * 2, y


torch.manual_seed(13)
x_train, y_train = arms(2000, 4, 0)
x_test, y_test = arms(600, 4, 1)
model = DeepNet(2, 20, 3, 4)
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
print("trainable parameters:", sum(p.numel() for p in model.parameters()))
for epoch in range(40):
    for sel in torch.randperm(len(x_train)).split(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x_train[sel]), y_train[sel])
        loss.backward()
        optimizer.step()
    if epoch % 4 == 3:
        with torch.no_grad():
            acc = (model(x_test).argmax(1) == y_test).float().mean().item()
        print(f"epoch {epoch + 1} loss {loss.item():.4f} test acc {acc:.3f}")
