"""A diary notes each day's activity; the weather behind it is hidden. Maximum likelihood by the forward recursion."""
import math

import torch

K, V, DAYS = 3, 8, 24
torch.manual_seed(83)

# --- the world
A_TRUE = torch.tensor([[0.86, 0.09, 0.05], [0.10, 0.80, 0.10], [0.05, 0.15, 0.80]])
B_TRUE = torch.tensor([
    [0.34, 0.28, 0.20, 0.10, 0.05, 0.01, 0.01, 0.01],
    [0.04, 0.06, 0.10, 0.30, 0.30, 0.10, 0.06, 0.04],
    [0.01, 0.01, 0.02, 0.06, 0.10, 0.24, 0.26, 0.30],
])
START = torch.tensor([0.4, 0.3, 0.3])


def diaries(n):
    z = torch.multinomial(START, n, replacement=True)
    states, notes = [], []
    for _ in range(DAYS):
        states.append(z)
        notes.append(torch.multinomial(B_TRUE[z], 1).squeeze(1))
        z = torch.multinomial(A_TRUE[z], 1).squeeze(1)
    return torch.stack(states, 1), torch.stack(notes, 1)


# --- the model: three tables of logits, nothing else
start = (0.1 * torch.randn(K)).requires_grad_()
move = (0.1 * torch.randn(K, K) + 1.0 * torch.eye(K)).requires_grad_()
emit = (0.3 * torch.randn(K, V)).requires_grad_()


def log_likelihood(notes, log_start, log_move, log_emit):
    alpha = log_start + log_emit[:, notes[:, 0]].T
    for day in range(1, notes.shape[1]):
        alpha = torch.logsumexp(alpha.unsqueeze(2) + log_move, 1) + log_emit[:, notes[:, day]].T
    return torch.logsumexp(alpha, 1)


def tables():
    return start.log_softmax(0), move.log_softmax(1), emit.log_softmax(1)


@torch.no_grad()
def most_likely(notes, log_start, log_move, log_emit):
    """Viterbi."""
    best = log_start + log_emit[:, notes[:, 0]].T
    back = []
    for day in range(1, notes.shape[1]):
        best, arg = (best.unsqueeze(2) + log_move).max(1)
        best = best + log_emit[:, notes[:, day]].T
        back.append(arg)
    path = [best.argmax(1)]
    for arg in reversed(back):
        path.append(arg.gather(1, path[-1][:, None]).squeeze(1))
    return torch.stack(path[::-1], 1)


def agreement(guess, states):
    """Names of the hidden states are free: best over all ways to match them."""
    from itertools import permutations

    return max((torch.tensor(p)[guess] == states).float().mean().item() for p in permutations(range(K)))


_, train = diaries(600)
states, test = diaries(300)
truth = -log_likelihood(test, START.log(), A_TRUE.log(), B_TRUE.log()).mean().item()
print(f"uniform {DAYS * math.log(V):.2f} nats a diary, the world itself {truth:.2f}")

opt = torch.optim.Adam([start, move, emit], lr=0.05)
for step in range(1, 401):
    loss = -log_likelihood(train[torch.randint(len(train), (100,))], *tables()).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        with torch.no_grad():
            nll = -log_likelihood(test, *tables()).mean().item()
        print(f"step {step} nats {loss.item():.2f} test {nll:.2f} weather guessed {agreement(most_likely(test, *tables()), states):.3f}")
