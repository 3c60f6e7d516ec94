# SPDX-License-Identifier: Apache-2.0
"""Cohort from Python: a deep-learning trainer for marketing data, by its C interface (cohort.h).

    import cohort
    run = cohort.train(dataset="customers.csv", target="bought", key="customer", run_dir="run")["run"]
    print(cohort.evaluate(run, "customers.csv")["metrics"])
    scores = cohort.predict(run, "new_customers.csv")  # {"customer": array, "bought_score": array, …}

The verbs that most use are functions here; run_verb() is any other. Their options are those of the verb's
struct in cohort.h, and what they return is the document of `--json` as a dict. What fails raises CohortError.
Tables are files, sqlite: and postgresql: sources, or columns in memory: a mapping of names to NumPy
arrays (a pandas.DataFrame is one). The log goes to logging.getLogger("cohort").

Memory: what is returned is Python's own; nothing borrows from the library. Arrays that are passed are
read during the call alone. A Training owns what it has opened until it is closed.
Threads: calls may come from any, but take turns: the HDF5 library takes one at a time.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict, List, Sequence

import numpy as np
import numpy.typing as npt

from . import _native
from ._context import CohortError, Context, Epoch, OnProgress, Problem, call
from ._tables import Columns, Path, Table, on_disk
from ._training import Config, Training, TrainingState, train

__all__ = ["CohortError", "Columns", "Config", "Epoch", "Problem", "Table", "Training", "TrainingState", "doctor",
           "evaluate", "experiment", "export", "import_csv", "import_events", "import_idx", "inspect", "predict",
           "predict_file", "run_verb", "synthesize", "train"]
__version__: str = _native.library.cohort_version().decode()

Arrays = Dict[str, "npt.NDArray[Any]"]


def import_csv(source: Table | Sequence[Path], output: Path, *, target: str | Sequence[str] | None = None,
               key: str | None = None, schema: Path | None = None, split: str | None = None, seed: int = 42,
               force: bool = False, **options: Any) -> dict[str, Any]:
    """A table (CSV, JSON lines, SQLite, PostgreSQL, columns in memory), or one in several files, to a
    dataset.h5, as `cohort import` does; what it found out about the columns is told.

    split: "random:0.7,0.1,0.2" (the default), "stratified:…", "hash:COL:…", "column:COL", "time:…".
    options: further members of cohort_import_csv_options: types, ignored, positive, where, …
    """
    asked = {"output": output, "targets": target, "key": key, "schema": schema, "split": split, "seed": seed,
             "force": force, "validation_fraction": -1.0, **options}
    if isinstance(source, (list, tuple)):
        return call("import_csv", {**asked, "files": source})
    with on_disk(source) as path:  # type: ignore[arg-type]
        return call("import_csv", {**asked, "files": [path]})


def import_events(source: Path | Sequence[Path], output: Path, *, entity: str, time: str, item: str | None = None,
                  cutoffs: str | Sequence[str] | None = None, label: str | None = None,
                  label_window: str | None = None, force: bool = False, **options: Any) -> dict[str, Any]:
    """A log of events to a dataset.h5. options: further members of cohort_import_events_options."""
    files: List[Path] = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    return call("import_events", {"files": files, "output": output, "entity": entity, "time": time, "item": item,
                                  "cutoffs": cutoffs, "label": label, "label_window": label_window, "force": force,
                                  **options})


def import_idx(output: Path, *, training: Sequence[Path], validation: Sequence[Path] | None = None,
               test: Sequence[Path] | None = None, force: bool = False, **options: Any) -> dict[str, Any]:
    """Images and labels in IDX files, each split a pair of both, to a dataset.h5."""
    return call("import_idx", {"output": output, "training": tuple(training),
                               "validation": tuple(validation) if validation else None,
                               "test": tuple(test) if test else None, "validation_fraction": -1.0, "force": force,
                               **options})


def experiment(config: Path | Sequence[Path], dataset: Path, *, k_fold: int = 0, seeds: int = 0,
               run_dir: Path | None = None, resume: Path | None = None, threads: int = 0,
               on_progress: OnProgress | None = None, **options: Any) -> dict[str, Any]:
    """Trains over folds of the rows, or with several seeds, and measures on rows not learned from."""
    files: List[Path] = [config] if isinstance(config, (str, os.PathLike)) else list(config)
    return call("experiment", {"files": files, "dataset": dataset, "k_fold": k_fold, "seeds": seeds,
                               "run_dir": run_dir, "resume": resume, "threads": threads, **options},
                Context(threads, on_progress=on_progress))


def evaluate(model: Path, dataset: Table, *, split: str | None = None, require: str | Sequence[str] | None = None,
             by: str | None = None, device: str | None = None, threads: int = 0,
             on_progress: OnProgress | None = None, **options: Any) -> dict[str, Any]:
    """How good a model (run folder, checkpoint, model file) is on a split ("test" unless told), with
    intervals, beside its baselines. require: gates such as "auc>=0.8"; one that fails raises CohortError
    of status 10, whose `result` has the figures. by: a column by whose values they are told, too."""
    with on_disk(dataset) as path:
        return call("evaluate", {"model": model, "dataset": path, "split": split, "require": require, "by": by,
                                 "device": device, "threads": threads, **options},
                    Context(threads, on_progress=on_progress))


class _Blocks:
    """Takes scored rows from the library, which lends them for the call."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {}
        self.texts: set[str] = set()

    def add(self, scores: Any) -> None:
        """A cohort_scores."""
        kinds: dict[int, Any] = {_native.constants["COHORT_SCORE_NUMBER"]: ctypes.c_float,
                                 _native.constants["COHORT_SCORE_INTEGER"]: ctypes.c_int64}
        for i in range(scores.column_count):
            name = scores.names[i].decode()
            kind = kinds.get(scores.types[i], ctypes.c_char_p)
            values = ctypes.cast(scores.values[i], ctypes.POINTER(kind))
            parts = self.columns.setdefault(name, [])
            if kind is ctypes.c_char_p:
                self.texts.add(name)
                parts.extend(text.decode() for text in values[:scores.rows])
            elif scores.rows:
                parts.append(np.ctypeslib.as_array(values, (scores.rows,)).copy())
            else:
                parts.append(np.empty(0, np.dtype(kind)))

    def arrays(self) -> Arrays:
        """All of them, in their order."""
        return {name: np.array(parts, dtype=np.str_) if name in self.texts else np.concatenate(parts)
                for name, parts in self.columns.items()}


def predict(model: Path, dataset: Table, *, columns: str | Sequence[str] | None = None, key: str | None = None,
            split: str | None = None, device: str | None = None, threads: int = 0,
            on_progress: OnProgress | None = None, **options: Any) -> Arrays:
    """Scores of rows as NumPy arrays by column: the key, and what the model's outputs have; numbers are
    float32, places and row numbers int64, texts str. The rows are held in memory; predict_file() writes
    any number of them.

    columns: what is wanted, "score", "label", "probabilities", "rank", "decile", "score=p_churn", …
    options: further members of cohort_predict_options.
    """
    blocks = _Blocks()
    context = Context(threads, on_progress=on_progress)
    take = _native.callback("cohort_scores_function")(
        lambda _, scores: context.guard(lambda: blocks.add(scores.contents)))
    with on_disk(dataset) as path:
        call("predict", {"model": model, "dataset": path, "columns": columns, "key": key, "split": split,
                         "device": device, "threads": threads, "take": take, **options}, context)
    return blocks.arrays()


def predict_file(model: Path, dataset: Table, output: Path, *, columns: str | Sequence[str] | None = None,
                 key: str | None = None, resume: bool = False, force: bool = False, device: str | None = None,
                 threads: int = 0, on_progress: OnProgress | None = None, **options: Any) -> dict[str, Any]:
    """Scores of rows to a file (CSV, TSV, JSON lines, HDF5) or a table of a database ("sqlite:FILE",
    "postgresql://…", with table=), as `cohort predict -O` writes them, with its guarantees."""
    with on_disk(dataset) as path:
        return call("predict", {"model": model, "dataset": path, "output": output, "columns": columns, "key": key,
                                "resume": resume, "force": force, "device": device, "threads": threads, **options},
                    Context(threads, on_progress=on_progress))


def export(model: Path, format: str, output: Path, *, force: bool = False) -> dict[str, Any]:  # pylint: disable=redefined-builtin
    """A model as a C program ("c") or as ONNX ("onnx")."""
    return call("export", {"model": model, "format": format, "output": output, "force": force})


def synthesize(output: Path, *, rows: int = 20000, seed: int = 42, force: bool = False,
               **options: Any) -> dict[str, Any]:
    """Customers from a known process, as CSV, to try things on."""
    return call("synthesize", {"output": output, "rows": rows, "seed": seed, "force": force, **options})


def run_verb(verb: str, **options: Any) -> dict[str, Any]:
    """Any verb by the name of its function in cohort.h, with the members of its struct:
    run_verb("report", run="run", output="run.html"), run_verb("data_check", dataset="customers.h5")."""
    return call(verb, options)


def inspect(path: Path) -> dict[str, Any]:
    """What a dataset, model, checkpoint or run holds."""
    with Context() as context:
        return context.call("inspect", os.fsencode(path))


def doctor() -> dict[str, Any]:
    """What of the machine Cohort can use."""
    with Context() as context:
        return context.call("doctor")
