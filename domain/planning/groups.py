"""What is alike, found without sorting."""

import numpy as np
from numpy.typing import NDArray


def group(keys: NDArray[np.int64], span: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the place of the first of each distinct key, by key ascending, and which of these each key is.

    The keys are from 0 to below `span`, which is small: a table of that size is made.
    """
    first = np.full(span, -1, dtype=np.int64)
    first[keys[::-1]] = np.arange(keys.size - 1, -1, -1)
    present = np.flatnonzero(first >= 0)
    number = np.empty(span, dtype=np.int64)
    number[present] = np.arange(present.size)
    return first[present], number[keys]
