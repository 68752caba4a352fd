from types import SimpleNamespace

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn

args = SimpleNamespace(lr=0.02, batch=34, epochs=8, seed=7)


class Regressor(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, 24), nn.Tanh())
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(-1)


def standardized(array):
    return torch.from_numpy((array - array.mean(0)) / array.std(0)).float()


def main():
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    x, y = load_diabetes(return_X_y=True)
    x, y = standardized(x), standardized(y)
    train, test = np.split(rng.permutation(len(x)), [340])
    model = Regressor(x.shape[1])
    optimizer = torch.optim.SGD(
        [*model.parameters(), *model.head.parameters()], lr=args.lr, momentum=0.9, weight_decay=1e-4
    )
    loss_function = nn.MSELoss()
    for epoch in range(args.epochs):
        model.train()
        for rows in np.array_split(rng.permutation(train), len(train) // args.batch):
            optimizer.zero_grad()
            loss = loss_function(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            print(epoch, round(loss_function(model(x[test]), y[test]).item(), 4))


if __name__ == "__main__":
    main()
