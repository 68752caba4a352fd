"""NumPy arrays that were made of tensors, beside what PyTorch computes of the same tensors.

An operation of NumPy is done by NumPy; where PyTorch has the same one, it is done by PyTorch as well, and the result
has both. A tensor goes on only as long as its values are those of the array: whatever PyTorch would do in another way
ends there.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F

_UFUNCS: Final = {
    "add", "subtract", "multiply", "divide", "true_divide", "power", "square", "sqrt", "exp", "expm1", "log", "log1p",
    "log2", "log10", "sin", "cos", "tan", "tanh", "sinh", "cosh", "arctan", "negative", "positive", "absolute",
    "reciprocal", "maximum", "minimum", "matmul", "arctan2", "logaddexp", "float_power", "expit",
}  # fmt: skip
_OTHER_NAMES: Final = {"expit": "sigmoid", "power": "pow", "arctan2": "atan2", "arctan": "atan"}
_REDUCTIONS: Final = {"add": "sum", "maximum": "amax", "minimum": "amin", "multiply": "prod"}
_FUNCTIONS: Final = {
    "concatenate": "cat", "stack": "stack", "vstack": "vstack", "hstack": "hstack", "where": "where", "dot": "matmul",
    "einsum": "einsum", "outer": "outer", "norm": "linalg.vector_norm",
}  # fmt: skip
_METHODS: Final = {
    "max": "amax", "min": "amin", "sum": "sum", "mean": "mean", "prod": "prod", "std": "std", "var": "var",
    "cumsum": "cumsum", "clip": "clamp", "reshape": "reshape", "transpose": "permute", "swapaxes": "transpose",
    "squeeze": "squeeze", "ravel": "ravel", "flatten": "flatten", "copy": "clone", "dot": "matmul",
    "__getitem__": "__getitem__", "astype": "",
}  # fmt: skip
_REDUCING: Final = {*_REDUCTIONS.values(), "mean", "std", "var"}
_LIBRARIES: Final[dict[str, dict[str, Callable[..., torch.Tensor]]]] = {
    "sklearn.metrics.pairwise": {
        "cosine_similarity": lambda x, y=None: F.normalize(x, dim=1) @ F.normalize(x if y is None else y, dim=1).T,
        "linear_kernel": lambda x, y=None: x @ (x if y is None else y).T,
        "euclidean_distances": lambda x, y=None: torch.cdist(x, x if y is None else y),
    },
    "scipy.special": {
        "softmax": lambda x, axis=-1: x.softmax(axis),
        "log_softmax": lambda x, axis=-1: x.log_softmax(axis),
        "logsumexp": lambda x, axis=-1: x.logsumexp(axis),
    },
}
"""What libraries over NumPy compute, in PyTorch: they make plain arrays of all that they are given."""
_TOLERANCE: Final = 1e-4
"""Single precision, and sums in another order."""


class TracedArray(np.ndarray[Any, Any]):
    """An array, and the tensor with a history that has its values; None once nothing is known of it."""

    tensor: torch.Tensor | None

    def __array_finalize__(self, made_of: Any) -> None:
        self.tensor = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, TracedArray) else x for x in inputs]
        if out is not None:  # written in place: what was known of it is over
            options["out"] = tuple(np.asarray(o) if isinstance(o, TracedArray) else o for o in out)
            getattr(ufunc, method)(*plain, **options)
            for o in out:
                if isinstance(o, TracedArray):
                    o.tensor = None
            return out[0] if len(out) == 1 else out
        result = getattr(ufunc, method)(*plain, **options)
        name = ufunc.__name__
        if method == "reduce" and name in _REDUCTIONS:
            return _beside(result, lambda: _reduced(_REDUCTIONS[name], _tensor(inputs[0]), **options))
        if method != "__call__" or name not in _UFUNCS or options:
            return result
        function = getattr(torch, _OTHER_NAMES.get(name, name))
        return _beside(result, lambda: function(*_of_one_dtype([_tensor(x) for x in inputs])))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(func, "__name__", "")
        if not _FUNCTIONS.get(name):
            return super().__array_function__(func, types, args, kwargs)  # its own methods and ufuncs, in most cases
        result = func(*_plain(args), **_plain(kwargs))
        function: Any = functools.reduce(getattr, _FUNCTIONS[name].split("."), torch)
        return _beside(result, lambda: function(*_with_tensors(args), **_dimensions(_with_tensors(kwargs))))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.tensor = None

    @property
    def T(self) -> Any:  # noqa: N802, the name of NumPy's own
        return self.transpose()


def traced(array: Any, tensor: torch.Tensor) -> Any:
    """A view of the array that goes on with the tensor whose values it has."""
    result = array.view(TracedArray)
    result.tensor = tensor
    return result


def follow_libraries(replace: Callable[[Any, str, Callable[[Any], Any]], None]) -> None:
    """Functions of loaded libraries go on with tensors, too.

    Args:
        replace: puts ``make(original)`` in the place of an attribute of a module: ``replace(module, name, make)``.
    """
    importlib.import_module("scipy.special")  # before the script takes names out of it
    for library, functions in _LIBRARIES.items():
        module = sys.modules.get(library)
        for name, ours in functions.items() if module is not None else ():
            for owner in (module, sys.modules.get(library.rpartition(".")[0])):
                if hasattr(owner, name):
                    replace(owner, name, functools.partial(_with_history, ours))


def _with_history(ours: Callable[..., torch.Tensor], original: Any) -> Any:
    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(x, TracedArray) for x in args):
            return original(*args, **kwargs)
        result = original(*_plain(args), **_plain(kwargs))
        return _beside(result, lambda: ours(*_with_tensors(args), **_with_tensors(kwargs)))

    return function


def same_values(array: Any, tensor: torch.Tensor) -> bool:
    """The array still has the values of the tensor."""
    with _unseen():
        values = tensor.detach().cpu().numpy()
    return bool(values.size == array.size and np.allclose(
        values.reshape(array.shape), np.asarray(array), rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True
    ))  # fmt: skip


def _beside(result: Any, compute: Callable[[], torch.Tensor]) -> Any:
    """The result of NumPy, with that of PyTorch where it is the same; both may fail for reasons of their own."""
    array = np.asarray(result)
    if not np.issubdtype(array.dtype, np.floating):
        return result
    try:
        with _unseen():
            tensor = compute().to(torch.as_tensor(np.empty(0, array.dtype)).dtype)
    except Exception:  # PyTorch has no such operation, or wants other arguments
        return result
    if tensor.grad_fn is None or tuple(tensor.shape) != array.shape or not same_values(array, tensor):
        return result
    return traced(array, tensor)


def _unseen() -> Any:
    """What is computed here is ours: neither the observer nor the patch that is at work takes it for the script's."""
    return torch._C.DisableTorchFunction()


def _method(name: str, operation: str) -> Callable[..., Any]:
    own = getattr(np.ndarray, name)

    @functools.wraps(own)
    def method(self: TracedArray, *args: Any, **kwargs: Any) -> Any:
        result = own(np.asarray(self), *_plain(args), **_plain(kwargs))
        tensor = self.tensor
        if tensor is None:
            return result.view(TracedArray) if isinstance(result, np.ndarray) else result

        def compute() -> torch.Tensor:
            if name == "astype":
                return tensor
            if name in ("transpose", "reshape"):
                return _reordered(tensor, operation, args)
            if operation in _REDUCING:
                return _reduced(operation, tensor, *args, **kwargs)
            again: torch.Tensor = getattr(tensor, operation)(*_with_tensors(args), **_dimensions(kwargs))
            return again

        return _beside(result, compute)

    return method


def _reduced(operation: str, x: torch.Tensor, axis: Any = None, *others: Any, **options: Any) -> torch.Tensor:
    if others:
        raise TypeError("NumPy's further arguments have names of their own in PyTorch")
    if operation == "prod" and axis is None:
        return x.prod()
    how = {"correction": options.get("ddof", 0)} if operation in ("std", "var") else {}
    dim = tuple(range(x.dim())) if axis is None else axis
    result: torch.Tensor = getattr(torch, operation)(x, dim=dim, keepdim=options.get("keepdims") is True, **how)
    return result


def _reordered(tensor: torch.Tensor, operation: str, args: Any) -> torch.Tensor:
    wanted = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
    if operation == "permute" and (not wanted or wanted[0] is None):
        wanted = tuple(reversed(range(tensor.dim())))
    return getattr(tensor, operation)(tuple(int(i) for i in wanted))  # type: ignore[no-any-return]


def _tensor(value: Any) -> Any:
    """What PyTorch is given in the place of this."""
    if isinstance(value, TracedArray) and value.tensor is not None:
        return value.tensor
    return torch.as_tensor(np.array(value)) if isinstance(value, (np.ndarray, np.generic)) else value


def _of_one_dtype(values: list[Any]) -> list[Any]:
    """Numbers among tensors become tensors; PyTorch's matrix products want one type of number."""
    known = [v for v in values if isinstance(v, torch.Tensor)]
    wanted = functools.reduce(torch.promote_types, [v.dtype for v in known])
    return [v.to(wanted) if isinstance(v, torch.Tensor) else torch.as_tensor(v, dtype=wanted) for v in values]


def _with_tensors(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_with_tensors(v) for v in value)
    if isinstance(value, dict):
        return {k: _with_tensors(v) for k, v in value.items()}
    return _tensor(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(v) for v in value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return np.asarray(value) if isinstance(value, TracedArray) else value


def _dimensions(options: dict[str, Any]) -> dict[str, Any]:
    """NumPy's names of arguments in PyTorch's words."""
    names = {"axis": "dim", "keepdims": "keepdim"}
    return {names.get(k, k): v for k, v in options.items() if v is not None}


for _name, _operation in _METHODS.items():
    setattr(TracedArray, _name, _method(_name, _operation))
