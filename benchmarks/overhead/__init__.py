"""What watching costs: the same training with and without it, in turns, in one process."""
