"""Where is the blob? A convolutional network answers with two coordinates between -1 and 1."""

import torch


def images(count, size=16):
    centers = torch.rand(count, 2) * 1.6 - 0.8
    axis = torch.linspace(-1, 1, size)
    rows = (axis[None, :, None] - centers[:, 0, None, None]).pow(2)
    columns = (axis[None, None, :] - centers[:, 1, None, None]).pow(2)
    picture = torch.exp(-(rows + columns) / 0.08) + 0.05 * torch.randn(count, size, size)
    return (picture - 0.06).div(0.2).unsqueeze(1), centers


torch.manual_seed(10)
network = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3, stride=2, padding=1),
    torch.nn.LeakyReLU(),
    torch.nn.Conv2d(8, 16, 3, stride=2, padding=1),
    torch.nn.LeakyReLU(),
    torch.nn.Flatten(),
    torch.nn.Linear(16 * 4 * 4, 2),
    torch.nn.Tanh(),
)
adam = torch.optim.Adam(network.parameters(), lr=3e-3)
distance = torch.nn.L1Loss()
history = []
for _ in range(120):
    pictures, centers = images(64)
    loss = distance(network(pictures), centers)
    adam.zero_grad()
    loss.backward()
    adam.step()
    history.append(loss.item())
print("error", history[0], history[30], history[60], history[-1])
