"""Statistics of tensors: the compiled kernel where it is there and right, and the same numbers with PyTorch."""
