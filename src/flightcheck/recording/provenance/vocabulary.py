"""What the names of methods and functions say about the values that pass through them."""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


SAME = words(
    "to cuda cpu numpy view reshape unsqueeze squeeze permute transpose contiguous detach clone flatten "
    "copy requires_grad_ pin_memory repeat expand tolist ravel t swapaxes movedim head sample to_numpy "
    "items values split chunk unbind iterrows itertuples batch shuffle expand_as view_as narrow "
    "index_select take gather get_batch drop __iter__ __next__ share_memory_ get"
)
"""Methods that hand on the same values: movement, shape, selection."""
CONVERSIONS = words("float double half bfloat16 type astype type_as to_dense")
CONSTRUCTORS = words(
    "tensor from_numpy as_tensor asarray array ascontiguousarray FloatTensor Tensor stack cat concat "
    "concatenate vstack hstack column_stack dstack pad_sequence default_collate squeeze reshape unsqueeze "
    "transpose permute flatten float32 float64 float16 Variable atleast_2d"
)
"""Functions that put values into another container."""
ITERATORS = words(
    "iter tqdm trange reversed sorted list tuple cycle islice track notebook_tqdm progress_bar deepcopy "
    "copy chain Subset random_split ConcatDataset prepare Prefetcher DataLoader set shuffle"
)
"""Functions that hand on the elements of their first argument."""
REORDERS = words("shuffle permutation sort sorted roll flip flipud flipped rotate sort_values resample")
"""Functions and methods that hand on the same elements in another order."""
MODULES = words("torch np numpy nn F pd functional optim torchvision sklearn random math")
NOT_MODELS = re.compile(
    r"loss|crit|entropy|nll|mse|bce|print|append|softmax|sigmoid|step|log|argmax|len|float|inverse_transform|^[A-Z]\w+"
)
"""Calls that stand around the call of a model."""
LOSSES = re.compile(r"loss|crit|entropy|nll|mse|bce|mae|l1|huber|objective")
INTEGERS = ("int", "uint", "long", "short", "byte", "bool", "Long", "Int", "Byte")
UNKNOWN_LOOPS = ("seed", "run", "trial", "fold", "rep", "config", "experiment")
