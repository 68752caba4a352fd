import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(15)
np.random.seed(15)


def play(n_games, steps=40):
    """Puck on a 2 x 1 table with a magnet under it; state is position and velocity, action is the magnet's pull."""
    pos = np.random.uniform([0.1, 0.1], [1.9, 0.9], (n_games, 2))
    vel = np.random.normal(0, 0.4, (n_games, 2))
    pull = np.zeros((n_games, 2))
    states, actions = [np.concatenate([pos, vel], 1)], []
    for _ in range(steps):
        pull = 0.7 * pull + np.random.normal(0, 0.8, (n_games, 2))
        vel = 0.98 * vel + 0.05 * pull
        pos = pos + 0.05 * vel
        for k, wall in enumerate((2.0, 1.0)):
            low, high = pos[:, k] < 0, pos[:, k] > wall
            pos[low, k] *= -1
            pos[high, k] = 2 * wall - pos[high, k]
            vel[low | high, k] *= -0.9
        states.append(np.concatenate([pos, vel], 1))
        actions.append(pull.copy())
    return np.stack(states, 1).astype(np.float32), np.stack(actions, 1).astype(np.float32)


class WorldModel(nn.Module):
    def __init__(self, hidden=96):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(6, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 4)
        )

    def forward(self, state, action):
        return self.body(torch.cat([state, action], dim=-1))


class Trainer:
    def __init__(self, model, states, actions, bfloat16=True, lr=1e-3, epochs=12, batch_size=128):
        self.model, self.bfloat16 = model, bfloat16
        self.epochs, self.batch_size = epochs, batch_size
        self.s_mean, self.s_std = states.mean((0, 1)), states.std((0, 1))
        self.a_std = actions.std((0, 1))
        delta = states[:, 1:] - states[:, :-1]
        self.d_std = delta.std((0, 1))
        self.s = ((states[:, :-1] - self.s_mean) / self.s_std).reshape(-1, 4)
        self.a = (actions / self.a_std).reshape(-1, 2)
        self.d = (delta / self.d_std).reshape(-1, 4)
        self.opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
        total = epochs * (len(self.s) // batch_size + 1)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, total)
        self.criterion = nn.MSELoss()

    def step(self, s, a, d):
        if self.bfloat16:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = self.model(s, a)
            loss = self.criterion(out.float(), d)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        else:
            loss = self.criterion(self.model(s, a), d)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        self.sched.step()
        return loss.item()

    def fit(self):
        for epoch in range(self.epochs):
            self.model.train()
            losses = [self.step(self.s[i], self.a[i], self.d[i])
                      for i in torch.randperm(len(self.s)).split(self.batch_size)]
            if epoch % 3 == 2:
                print(f"epoch {epoch + 1:2d}  one-step loss {np.mean(losses):.4f}")

    @torch.no_grad()
    def rollout_error(self, states, actions, horizon=10):
        self.model.eval()
        s = states[:, 0]
        for t in range(horizon):
            out = self.model((s - self.s_mean) / self.s_std, actions[:, t] / self.a_std)
            s = s + out * self.d_std
        return ((s - states[:, horizon])[:, :2] ** 2).sum(1).sqrt().mean().item()


train_s, train_a = (torch.from_numpy(v) for v in play(400))
test_s, test_a = (torch.from_numpy(v) for v in play(200))
trainer = Trainer(WorldModel(), train_s, train_a)
trainer.fit()
stay = (test_s[:, 10, :2] - test_s[:, 0, :2]).norm(dim=1).mean().item()
print(f"puck travels {stay:.4f} in 10 steps")
print(f"rollout error {trainer.rollout_error(test_s, test_a):.4f}")
