# SPDX-License-Identifier: Apache-2.0
"""Columns in memory as a table in a file, which the library reads as any other."""

from __future__ import annotations

import contextlib
import csv
import os
import tempfile
from typing import Any, Iterator, Mapping, Sequence, Union

import numpy as np

Path = Union[str, "os.PathLike[str]"]
Columns = Mapping[str, Any]  # name to a one-dimensional array or sequence; a pandas.DataFrame is one
Table = Union[Path, Columns]


def _cells(name: str, values: Any) -> Sequence[object]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"column '{name}' has {array.ndim} dimensions; a column has one")
    if array.dtype.kind == "M":
        texts = np.datetime_as_string(array, unit="s")
        return [None if missing else text for text, missing in zip(texts.tolist(), np.isnat(array).tolist())]
    if array.dtype.kind == "f":  # as few digits as bring the number back
        kept = array.astype(np.float64) if array.dtype.itemsize > 4 else array
        return [None if text == "nan" else text for text in kept.astype(str).tolist()]
    cells: list[object] = array.tolist()
    if array.dtype.kind == "O":  # missing cells of pandas are no numbers, not even equal to themselves
        cells = [None if cell is None or cell != cell else cell for cell in cells]
    return cells


@contextlib.contextmanager
def on_disk(table: Table) -> Iterator[str]:
    """The path of a table, for the time of the context; of columns that of a temporary CSV."""
    if not hasattr(table, "items"):
        yield os.fspath(table)
        return
    columns = {str(name): _cells(str(name), values) for name, values in table.items()}
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"the columns are of {len(lengths)} lengths; they must have one" if lengths
                         else "there are no columns")
    with tempfile.TemporaryDirectory(prefix="cohort-") as folder:
        path = os.path.join(folder, "columns.csv")
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values()))
        yield path
