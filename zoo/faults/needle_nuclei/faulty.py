"""Benign or malignant, from measurements of cell nuclei in a needle sample."""
import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(8)


class Dense(nn.Module):
    """Keras-like layer, with the activation by name."""

    ACTIVATIONS = {
        "relu": torch.relu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softmax": lambda z: torch.softmax(z, dim=-1),
    }

    def __init__(self, n_in, units, activation):
        super().__init__()
        self.linear = nn.Linear(n_in, units)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.activation = self.ACTIVATIONS[activation]

    def forward(self, x):
        return self.activation(self.linear(x))


def load(seed):
    data = load_breast_cancer()
    x_train, x_test, y_train, y_test = train_test_split(
        data.data, data.target, test_size=0.3, stratify=data.target, random_state=seed)
    scaler = StandardScaler().fit(x_train)

    def pack(x, y):
        return (torch.tensor(scaler.transform(x), dtype=torch.float32),
                torch.tensor(y, dtype=torch.float32).unsqueeze(1))
    return pack(x_train, y_train), pack(x_test, y_test)


def fit(model, x, y, epochs, batch_size):
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    loss_fn = nn.BCELoss()
    for epoch in range(epochs):
        model.train()
        total, hits = 0.0, 0
        for idx in torch.randperm(len(x)).split(batch_size):
            prob = model(x[idx])
            loss = loss_fn(prob, y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
            hits += ((prob > 0.5).float() == y[idx]).sum().item()
        if (epoch + 1) % 5 == 0:
            print(f"Epoch {epoch + 1}/{epochs} - loss: {total / len(x):.4f} - acc: {hits / len(x):.4f}")


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        prob = model(x)
    guess = (prob > 0.5).float()
    sens = (guess[y == 0] == 0).float().mean().item()
    spec = (guess[y == 1] == 1).float().mean().item()
    return sens, spec


(x_train, y_train), (x_test, y_test) = load(seed=8)
model = nn.Sequential(
    Dense(x_train.shape[1], 16, activation="relu"),
    nn.Dropout(0.2),
    Dense(16, 8, activation="relu"),
    Dense(8, 1, activation="softmax"),
)
fit(model, x_train, y_train, epochs=30, batch_size=16)
sens, spec = evaluate(model, x_test, y_test)
print(f"sensitivity {sens:.4f}  specificity {spec:.4f}")
print(f"balanced accuracy {(sens + spec) / 2:.4f}")
