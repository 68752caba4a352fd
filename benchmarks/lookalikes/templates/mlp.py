"""Tell the state of a pump from twelve sensors."""

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 0  #: seed
BATCH = 64  #: batch
EPOCHS = 9  #: epochs
torch.manual_seed(SEED)

# Temperatures in kelvin, pressures in hectopascal, currents in ampere, vibrations in millimetres per second.
OFFSET = np.array([293, 311, 305, 1013, 2026, 4052, 12, 14, 3, 0.5, 0.8, 1.1])
SPREAD = np.array([4, 6, 3, 8, 25, 60, 1.5, 2.0, 0.4, 0.1, 0.2, 0.3])
latent, states = make_classification(
    4000, 12, n_informative=9, n_redundant=3, n_classes=8, n_clusters_per_class=1, class_sep=1.2, random_state=SEED
)
readings = latent * SPREAD + OFFSET  #: raw
targets = states  #: targets
x_train, x_test, y_train, y_test = train_test_split(readings, targets, train_size=2400, random_state=1)  #: split
order = np.argsort(y_test)
x_test, y_test = x_test[order], y_test[order]
scaler = StandardScaler().fit(x_train)  #: scale
x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)  #: scale
x_train, x_test = torch.tensor(x_train, dtype=torch.float32), torch.tensor(x_test, dtype=torch.float32)  #: inputs
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)  #: outputs
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=BATCH, shuffle=True, drop_last=True)  #: loader
test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=100)

model = nn.Sequential(  #: model
    nn.Linear(12, 96),  #: model
    nn.ReLU(),  #: model
    nn.Linear(96, 96),  #: model
    nn.ReLU(),  #: model
    nn.Dropout(0.1),  #: model
    nn.Linear(96, 8),  #: model
)  #: model
criterion = nn.CrossEntropyLoss()  #: criterion
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)  #: optimizer
#: schedule
for epoch in range(EPOCHS):
    model.train()
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        prediction = model(x)  #: forward
        loss = criterion(prediction, y)  #: loss
        loss.backward()
        optimizer.step()
        #: step
        total += loss.item() / len(train_loader)
    model.eval()  #: eval
    right, test_loss = 0, 0.0
    with torch.no_grad():  #: evaluation
        for x, y in test_loader:  #: evaluation
            prediction = model(x)  #: evaluation
            test_loss += criterion(prediction, y).item() * len(y) / len(y_test)
            right += (prediction.argmax(dim=1) == y).sum().item()  #: count
    score = right / len(y_test)  #: score
    print(f"epoch {epoch} train loss {total:.4f} test loss {test_loss:.4f} score {score:.3f}")
