"""Writes a one-dimensional ``.npy`` file piece by piece, its length known only at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray


class ArrayFile:
    """An array that grows on disk; ``close`` makes it a file that ``numpy.load`` can map."""

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.length = 0
        self._file = path.open("wb")
        self._body = self._header()

    def extend(self, values: NDArray[Any]) -> None:
        """Write more values."""
        self._file.write(values.astype(self.dtype, copy=False).tobytes())
        self.length += len(values)

    def close(self) -> None:
        """Put the true length into the header, which numpy pads so that a length of any size fits."""
        with self._file:
            if self._header() != self._body:
                raise RuntimeError("numpy no longer keeps room for the length in the header of a .npy file")

    def _header(self) -> int:
        self._file.seek(0)
        descr = npy.dtype_to_descr(self.dtype)
        npy.write_array_header_1_0(self._file, {"descr": descr, "fortran_order": False, "shape": (self.length,)})
        return self._file.tell()
