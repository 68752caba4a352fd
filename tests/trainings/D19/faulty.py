"""How ill will the patient be in a year? A regression on ten measurements."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(4)
frame = load_diabetes(as_frame=True).frame.sample(frac=1.0, random_state=0)
frame = (frame - frame.mean()) / frame.std()
target = torch.tensor(frame["target"].to_numpy(), dtype=torch.float32)
columns = list(frame.columns)
inputs = torch.tensor(frame[columns].to_numpy(), dtype=torch.float32)

model = nn.Sequential(nn.Linear(inputs.shape[1], 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(12):
    for rows in torch.randperm(350).split(25):
        loss = nn.functional.mse_loss(model(inputs[rows]).squeeze(1), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(inputs[350:]).squeeze(1), target[350:])
    print(epoch, loss.item(), error.item())
