import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_classification

torch.manual_seed(13)
X, y = make_classification(2000, 20, n_informative=8, n_classes=4, random_state=5)
X, y = torch.Tensor(X), torch.tensor(y)
train_data = TensorDataset(X[:1600], y[:1600])
test_data = TensorDataset(X[1600:], y[1600:])
train_dataloader = DataLoader(train_data, batch_size=32, shuffle=True)
test_dataloader = DataLoader(test_data, batch_size=200)


class NeuralNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.stack = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, x):
        return self.stack(x)


def train_loop(dataloader, model, loss_fn, optimizer):
    running = 0.0
    for batch, (X, y) in enumerate(dataloader):
        pred = model(X)
        loss = loss_fn(pred, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
        return running / len(dataloader)


def test_loop(dataloader, model, loss_fn):
    correct, test_loss = 0, 0.0
    with torch.no_grad():
        for X, y in dataloader:
            pred = model(X)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).sum().item()
    return test_loss / len(dataloader), correct / len(dataloader.dataset)


model = NeuralNetwork()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for t in range(15):
    train_loss = train_loop(train_dataloader, model, loss_fn, optimizer)
    test_loss, acc = test_loop(test_dataloader, model, loss_fn)
    print(f"Epoch {t + 1}: train {train_loss:>7f} test {test_loss:>7f} accuracy {100 * acc:>0.1f}%")
