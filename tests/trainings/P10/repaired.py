import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)


def build(inputs, outputs):
    return nn.ModuleDict(
        {
            "trunk": nn.Sequential(nn.Linear(inputs, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU()),
            "head": nn.Linear(48, outputs),
        }
    )


class Tagger(nn.Module):
    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def forward(self, x):
        return self.parts["head"](self.parts["trunk"](x))


wine = load_wine()
x = torch.tensor((wine.data - wine.data.mean(0)) / wine.data.std(0), dtype=torch.float32)
y = torch.tensor(wine.target)
chosen = torch.randperm(len(x))
train, test = chosen[:140], chosen[140:]
loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=20, shuffle=True)

model = Tagger(build(13, 2))
model.parts["head"] = nn.Linear(48, 3)  # the data has one class more
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)

for epoch in range(15):
    model.train()
    running = 0.0
    for features, kind in loader:
        loss = nn.functional.cross_entropy(model(features), kind)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
    model.eval()
    with torch.inference_mode():
        right = (model(x[test]).argmax(-1) == y[test]).float().mean().item()
    if epoch % 5 == 4:
        unchanged = model.parts["head"].weight.std().item()
        print(f"epoch {epoch + 1}: loss {running / len(loader):.3f}, test {right:.2f}, head std {unchanged:.6f}")
