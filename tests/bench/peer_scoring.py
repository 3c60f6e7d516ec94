# SPDX-License-Identifier: Apache-2.0
"""The other side of scripts/bench_scoring: pandas reads a table, PyTorch or ONNX Runtime scores it, and a
table of keys, decisions and scores is written. Everything a user would tune is: pandas reads by its engine
pyarrow, on all threads, the columns that are needed; PyTorch runs compiled (its cache is warm) in
inference mode; rows go through in batches whose size bench_scoring has tried out. As "arrow" it is ONNX
Runtime, and pyarrow without pandas reads and writes.

usage: peer_scoring.py torch|onnx|arrow MODEL TABLE KEY SCORES --threads N --batch ROWS

MODEL is a model.h5, or what `cohort export onnx` made of it. Prints a line of JSON: seconds since imports were
done, of the parts, and the peak of resident memory."""

import argparse
import json
import resource
import time

import numpy as np
import pandas
import pyarrow
import pyarrow.csv


class Torch:
    """The networks of tests/bench/tables.yaml and models/presets/shopper-mlp.yaml."""

    def __init__(self, path, threads, batch):
        import h5py
        import torch
        self.torch, self.batch = torch, batch
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        with h5py.File(path, "r") as file:
            fitted = {name: {key: value[:] for key, value in group.items()}
                      for name, group in file["cohort/preprocessing"].items()}
            schema = {column["name"]: column for column in json.loads(file["cohort/schema"][0])}
            features = json.loads(file["cohort/config"][0])["input_features"]
            weights = file["model_weights"]
            layers = [name if isinstance(name, str) else name.decode() for name in weights.attrs["layer_names"]]
            values = [{key: torch.from_numpy(value[:]) for key, value in weights[name].items()} for name in layers]
        self.threshold = float(next(values["decided"][1] for values in fitted.values() if "decided" in values))
        self.classes = {name: column["categories"] for name, column in schema.items() if column["type"] == "category"}
        self.names = [feature["name"] for feature in features]
        self.words = [name for name in self.names if "vocabulary" in fitted[name]]
        self.numbers = [name for name in self.names if name not in self.words]
        self.codes = {name: fitted[name]["vocabulary"] for name in self.words}
        binned = [name for name in self.numbers if "edges" in fitted[name]]
        flags = [name for name in self.numbers if schema[name]["type"] == "binary"]
        plain = [name for name in self.numbers if name not in binned + flags] + flags
        self.numbers, self.flags = binned + plain, flags
        of = lambda names, key, default: torch.tensor([float(fitted[name].get(key, [default])[0]) for name in names])
        fill, mean, scale = of(self.numbers, "fill", 0), of(plain, "mean", 0), of(plain, "scale", 1)
        tables = [value["embeddings"] for value in values if "embeddings" in value]
        dense = [(value["kernel"], value["bias"]) for value in values if "kernel" in value and value["kernel"].dim() == 2]
        pieces = next(((value["kernel"], value["bias"]) for value in values
                       if "kernel" in value and value["kernel"].dim() == 3), None)
        edges = torch.from_numpy(np.stack([fitted[name]["edges"] for name in binned])) if binned else None
        if binned:
            low, high = edges[:, :-1], edges[:, 1:]
            inside = torch.isfinite(low) & torch.isfinite(high)
            low, width = torch.where(inside, low, 0), torch.where(inside, high - low, 1)

        def forward(numbers, codes):
            numbers = torch.where(torch.isnan(numbers), fill, numbers)
            parts = []
            if binned:
                bins = torch.where(inside, ((numbers[:, :len(binned), None] - low) / width).clamp(0, 1), 0)
                encoded = torch.bmm(bins.transpose(0, 1), pieces[0]).transpose(0, 1) + pieces[1]
                parts.append(torch.relu(encoded).flatten(1))
            words = [table[codes[:, i]] for i, table in enumerate(tables)]
            others = (numbers[:, len(binned):] - mean) * scale
            parts += [others[:, :len(plain) - len(flags)], *words, others[:, len(plain) - len(flags):]]
            joined = torch.cat(parts, 1)
            for kernel, bias in dense[:-1]:
                joined = torch.relu(torch.addmm(bias, joined, kernel))
            return torch.sigmoid(torch.addmm(dense[-1][1], joined, dense[-1][0])).squeeze(1)

        self.forward = torch.compile(forward, dynamic=False)

    def numeric(self):
        return [name for name in self.numbers if name not in self.flags]

    def score(self, frame):
        torch, count = self.torch, len(frame)
        padded = -(-count // self.batch) * self.batch  # one shape, so that it is compiled once
        numbers = np.zeros((padded, len(self.numbers)), np.float32)
        for i, name in enumerate(self.numbers):
            column = frame[name]
            numbers[:count, i] = number(column)
        codes = np.zeros((padded, len(self.words)), np.int32)
        for i, name in enumerate(self.words):
            known = pandas.Index(self.classes[name])
            codes[:count, i] = self.codes[name][codes_of(frame[name], known) + 1]
        numbers, codes = torch.from_numpy(numbers), torch.from_numpy(codes)
        with torch.inference_mode():
            parts = [self.forward(numbers[i:i + self.batch], codes[i:i + self.batch])
                     for i in range(0, padded, self.batch)]
            return torch.cat(parts)[:count].numpy()


class Onnx:
    """Whatever `cohort export onnx` writes of tables: its graph has the preprocessing."""

    def __init__(self, path, threads, batch):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, self.batch = threads, batch
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        told = self.session.get_modelmeta().custom_metadata_map
        self.inputs = {item["name"]: item for item in json.loads(told["inputs"])}
        self.kinds = {value.name: value.type for value in self.session.get_inputs()}
        self.names = list(self.inputs)
        self.threshold = json.loads(told["outputs"])[0]["threshold"]

    def numeric(self):
        return [name for name, item in self.inputs.items() if not item.get("classes")]

    def score(self, frame):
        feeds = {}
        for name, item in self.inputs.items():
            column = frame[name]
            if "int64" in self.kinds[name]:
                feeds[name] = codes_of(column, pandas.Index(item["classes"])).astype(np.int64)
            elif item.get("classes") and column.dtype != bool:
                codes = codes_of(column, pandas.Index(item["classes"])).astype(np.float32)
                feeds[name] = np.where(codes < 0, np.float32(np.nan), codes)
            else:
                feeds[name] = number(column)
            feeds[name] = feeds[name].reshape(-1, 1)
        output = self.session.get_outputs()[0].name
        parts = [self.session.run([output], {name: feed[i:i + self.batch] for name, feed in feeds.items()})[0]
                 for i in range(0, len(frame), self.batch)]
        return np.concatenate(parts).reshape(-1)


def number(column):
    return column.to_numpy(np.float32)


def codes_of(column, known):
    """The place of each word among those that are known, -1 = none."""
    if isinstance(column.dtype, pandas.CategoricalDtype):
        return known.get_indexer(column.cat.categories)[column.cat.codes.to_numpy()]
    codes, words = pandas.factorize(column)
    return known.get_indexer(words)[codes]


def read(table, key, scorer):
    """Numbers as pandas finds them: a type for each column makes it slower."""
    return pandas.read_csv(table, usecols=[key, *scorer.names], engine="pyarrow", true_values=["TRUE", "True"],
                           false_values=["FALSE", "False"])


def read_by_arrow(table, key, scorer):
    convert = pyarrow.csv.ConvertOptions(
        include_columns=[key, *scorer.names],
        column_types={name: pyarrow.float32() for name in scorer.numeric()} | {key: pyarrow.string()},
        true_values=["TRUE", "True"], false_values=["FALSE", "False"], auto_dict_encode=True)
    return pyarrow.csv.read_csv(table, convert_options=convert).to_pandas(split_blocks=True, self_destruct=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("torch", "onnx", "arrow"))
    parser.add_argument("paths", nargs=4, metavar="MODEL TABLE KEY SCORES")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    options = parser.parse_args()
    model, table, key, output = options.paths
    pyarrow.set_cpu_count(options.threads)
    pyarrow.set_io_thread_count(options.threads)
    clock = [time.perf_counter()]
    tick = lambda: clock.append(time.perf_counter())
    scorer = (Torch if options.kind == "torch" else Onnx)(model, options.threads, options.batch)
    tick()
    frame = (read_by_arrow if options.kind == "arrow" else read)(table, key, scorer)
    tick()
    scores = scorer.score(frame)
    tick()
    decided = pandas.Categorical.from_codes((scores >= scorer.threshold).astype(np.int8), ["FALSE", "TRUE"])
    told = pandas.DataFrame({key: frame[key], "Revenue": decided, "Revenue_score": scores})
    if options.kind == "arrow":
        arrow = pyarrow.Table.from_pandas(told, preserve_index=False)
        pyarrow.csv.write_csv(arrow, output, pyarrow.csv.WriteOptions(quoting_style="none"))
    else:
        told.to_csv(output, index=False)
    tick()
    parts = dict(zip(("load", "read", "score", "write"), (b - a for a, b in zip(clock, clock[1:]))))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rows": len(frame), "seconds": clock[-1] - clock[0], "parts": parts, "peak": peak}))


main()
