import torch
from torch import nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(2)
wine = load_wine()
x_train, x_test, y_train, y_test = train_test_split(
    wine.data, wine.target, test_size=0.35, stratify=wine.target, random_state=2
)
scaler = StandardScaler()
scaler.fit(x_train)
scaler.transform(x_train)
scaler.transform(x_test)

x_train, x_test = (torch.as_tensor(v, dtype=torch.float32) for v in (x_train, x_test))
y_train, y_test = torch.as_tensor(y_train), torch.as_tensor(y_test)

net = nn.Sequential(nn.Linear(13, 24), nn.Tanh(), nn.Linear(24, 3))
sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
criterion = nn.CrossEntropyLoss()

n = len(x_train)
for epoch in range(40):
    net.train()
    perm = torch.randperm(n)
    epoch_loss = 0.0
    for i in range(0, n, 20):
        rows = perm[i : i + 20]
        loss = criterion(net(x_train[rows]), y_train[rows])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        epoch_loss += loss.item() * len(rows)
    if epoch % 8 == 7:
        net.eval()
        with torch.no_grad():
            hits = (net(x_test).argmax(1) == y_test).float().mean()
        print(f"epoch {epoch + 1:2d}  loss {epoch_loss / n:.4f}  test accuracy {hits:.3f}")
