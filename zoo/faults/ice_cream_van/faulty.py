# %% Ice cream van: sales from weather and calendar. First notebook of the course, all cells in one file.
import numpy as np
import torch
import torch.nn as nn
from sklearn.metrics import mean_absolute_error
from sklearn.preprocessing import StandardScaler

# %% four years of days, the last months are kept for the test
np.random.seed(10)
day = np.arange(4 * 365)
season = -np.cos(2 * np.pi * (day - 15) / 365)
temperature = 11 + 10 * season + 3.5 * np.random.randn(len(day))
sunshine = np.clip(6 + 3 * season + 2.5 * np.random.randn(len(day)), 0, 15)
wind = np.random.gamma(3, 4, len(day))
visitors = 300 + 120 * season + 180 * (day % 7 >= 5) + 50 * np.random.randn(len(day))
price = 1.5 + 0.5 * np.random.rand(len(day))
sales = (
    visitors * (0.05 + 0.35 / (1 + np.exp(-(temperature - 17) / 4)))
    + 3.0 * sunshine
    - 0.8 * wind
    - 30 * (price - 1.75)
    + 6 * np.random.randn(len(day))
)

X = np.column_stack([temperature, sunshine, wind, visitors, price])
y = sales.reshape(-1, 1)
X_train, X_test = X[:-100], X[-100:]
y_train, y_test = y[:-100], y[-100:]

# %% scaling
scaler = StandardScaler()
y_scaler = StandardScaler()
X_train = scaler.fit_transform(X_train)
X_test = scaler.fit_transform(X_test)
y_train = y_scaler.fit_transform(y_train)

X_train = torch.tensor(X_train, dtype=torch.float32)
y_train = torch.tensor(y_train, dtype=torch.float32)
X_test = torch.tensor(X_test, dtype=torch.float32)


# %% network
class Net(nn.Module):
    def __init__(self, n_features, n_hidden):
        super().__init__()
        self.hidden1 = nn.Linear(n_features, n_hidden)
        self.hidden2 = nn.Linear(n_hidden, n_hidden)
        self.predict = nn.Linear(n_hidden, 1)

    def forward(self, x):
        x = torch.relu(self.hidden1(x))
        x = torch.relu(self.hidden2(x))
        return self.predict(x)


torch.manual_seed(10)
net = Net(X_train.shape[1], 32)
optimizer = torch.optim.Adam(net.parameters(), lr=0.003, weight_decay=1e-4)
loss_func = nn.MSELoss()

# %% training
losses = []
for epoch in range(40):
    permutation = np.random.permutation(len(X_train))
    for i in range(0, len(permutation), 64):
        batch = permutation[i : i + 64]
        prediction = net(X_train[batch])
        loss = loss_func(prediction, y_train[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 8 == 7:
        print("epoch", epoch + 1, "train loss", round(np.mean(losses[-20:]), 4))

# %% how good is it?
net.eval()
with torch.no_grad():
    prediction = net(X_test)
prediction = y_scaler.inverse_transform(prediction.numpy())
print("average sales in the test days: %.1f" % y_test.mean())
print("test MAE: %.2f ices a day" % mean_absolute_error(y_test, prediction))
