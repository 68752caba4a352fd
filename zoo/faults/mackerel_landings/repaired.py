import numpy as np
import torch
import torch.nn as nn
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
np.random.seed(7)

STOCKS = ["western", "north sea", "southern", "faroese", "norwegian"]
COLUMNS = ["length", "fat", "girth", "gill_rakers", "otolith_width", "spot_count", "sea_temp", "depth"]


def landings(n=3000, schools_per_stock=10):
    """Each stock consists of several schools; fish of one school resemble each other."""
    centres = np.random.uniform(-2.0, 2.0, size=(len(STOCKS), schools_per_stock, len(COLUMNS)))
    stock = np.random.randint(0, len(STOCKS), n)
    school = np.random.randint(0, schools_per_stock, n)
    x = centres[stock, school] + 0.38 * np.random.randn(n, len(COLUMNS))
    scale = np.array([4.0, 3.0, 1.5, 2.0, 0.3, 6.0, 1.2, 25.0])
    offset = np.array([33.0, 15.0, 17.0, 30.0, 2.1, 28.0, 9.0, 80.0])
    return x * scale + offset, stock


def load_data():
    x, y = landings()
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, stratify=y)
    scaler = StandardScaler().fit(x_train)

    def to_set(a, b):
        return TensorDataset(torch.tensor(scaler.transform(a), dtype=torch.float32), torch.tensor(b))

    return to_set(x_train, y_train), to_set(x_test, y_test)


def build_model():
    return nn.Sequential(
        nn.Linear(len(COLUMNS), 32),
        nn.ReLU(),
        nn.Linear(32, 16),
        nn.ReLU(),
        nn.Linear(16, len(STOCKS)),
    )


def accuracy(model, data):
    model.eval()
    x, y = data.tensors
    with torch.no_grad():
        hit = (model(x).argmax(dim=1) == y).float().mean().item()
    model.train()
    return hit


def fit(model, train_set, epochs):
    loader = DataLoader(train_set, batch_size=64, shuffle=True)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(1, epochs + 1):
        total, seen = 0.0, 0
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = loss_fn(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
            seen += len(xb)
        if epoch == 1 or epoch % max(1, epochs // 5) == 0:
            print(f"epoch {epoch:3d}  loss {total / seen:.4f}  train accuracy {accuracy(model, train_set):.3f}")


def main():
    train_set, test_set = load_data()
    print(f"{len(train_set)} fish to learn from, {len(test_set)} to test on")
    model = build_model()
    fit(model, train_set, epochs=100)
    print(f"test accuracy: {accuracy(model, test_set):.4f}")


if __name__ == "__main__":
    main()
