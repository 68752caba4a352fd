# Noughts and crosses by self-play: one network plays both sides (negamax Q-learning), 64 games at a time.
import copy

import torch
from torch import nn

LINES = torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]])


class Table:
    """Boards as the side to move sees them: +1 own, -1 the other's."""

    def __init__(self, n):
        self.boards = torch.zeros(n, 9)

    def play(self, moves):
        """Returns the reward of the side that moved, which games are over, and the boards before fresh ones are laid out."""
        self.boards[torch.arange(len(moves)), moves] = 1.0
        won = (self.boards[:, LINES].sum(2) == 3).any(1)
        over = won | (self.boards != 0).all(1)
        self.boards = -self.boards  # now the other side is to move
        after = self.boards.clone()
        self.boards[over] = 0.0
        return won.float(), over, after


class Memory:
    """The last moves that were made; the oldest are overwritten."""

    def __init__(self, room):
        self.columns = (
            torch.zeros(room, 9), torch.zeros(room, dtype=torch.long), torch.zeros(room),
            torch.zeros(room, dtype=torch.bool), torch.zeros(room, 9),
        )  # fmt: skip
        self.room, self.seen = room, 0

    def add(self, *news):
        places = (self.seen + torch.arange(len(news[0]))) % self.room
        for column, new in zip(self.columns, news):
            column[places] = new
        self.seen += len(news[0])

    def sample(self, n):
        pick = torch.randint(min(self.seen, self.room), (n,))
        return [column[pick] for column in self.columns]


def network():
    return nn.Sequential(nn.Linear(18, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 9), nn.Tanh())


def values(net, boards):
    q = net(torch.cat([boards == 1, boards == -1], 1).float())
    return q.masked_fill(boards != 0, float("-inf"))


def any_move(boards):
    return torch.multinomial((boards == 0).float(), 1).squeeze(1)


@torch.no_grad()
def match(net, games=300):
    """Against a player of random moves; each side begins half of the games."""
    results = []
    for network_begins in (True, False):
        table, live = Table(games // 2), torch.ones(games // 2, dtype=torch.bool)
        score = torch.zeros(games // 2)
        for turn in range(9):
            mine = (turn % 2 == 0) == network_begins
            moves = values(net, table.boards).argmax(1) if mine else any_move(table.boards)
            reward, over, _ = table.play(moves)
            score[live] += (reward if mine else -reward)[live]
            live = live & ~over
        results.append(score)
    score = torch.cat(results)
    return (score > 0).float().mean().item(), (score < 0).float().mean().item()


torch.manual_seed(33)
net = network()
target = copy.deepcopy(net)
adam = torch.optim.Adam(net.parameters(), lr=1e-3)
cooling = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.1, total_iters=1600)
table, memory = Table(64), Memory(12_800)
print("before: won {:.2f} lost {:.2f}".format(*match(net)))
for step in range(1, 1601):
    before = table.boards.clone()
    epsilon = max(0.1, 1 - step / 500)
    with torch.no_grad():
        moves = values(net, before).argmax(1)
    explore = torch.rand(len(moves)) < epsilon
    moves[explore] = any_move(before)[explore]
    memory.add(before, moves, *table.play(moves))

    boards, moves, reward, over, after = memory.sample(160)
    with torch.no_grad():
        reply = values(target, after).amax(1)  # what the other side can get from here
        wanted = torch.where(over, reward, -0.97 * reply)
    chosen = values(net, boards).gather(1, moves[:, None]).squeeze(1)
    loss = nn.functional.mse_loss(chosen, wanted)
    adam.zero_grad()
    loss.backward()
    adam.step()
    cooling.step()
    if step % 50 == 0:
        target.load_state_dict(net.state_dict())
    if step % 200 == 0:
        print("step {}: loss {:.4f} won {:.2f} lost {:.2f}".format(step, loss.item(), *match(net)))
