# SPDX-License-Identifier: Apache-2.0
"""The other side of scripts/bench_tables: PyTorch trains networks for tables. Either on the columns of
a Cohort dataset and from the weights of a Cohort model, answering requests as peer.py does; or, with
--csv, all of it: pandas reads the file, PyTorch trains, pandas writes the scores."""

import argparse
import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# model: hidden layers, dropout, outputs of a number's layer (0: the number itself), whether the input
# goes to the output as well, decay of the weights, decay of their moving average (0: none)
NETWORKS = {
    "shopper-mlp": ((256, 256, 256), 0.2, 16, False, 0.01, 0.998),
    "mlp": ((256, 128), 0.0, 0, False, 0.0, 0.0),
    "wide-deep": ((128, 64), 0.2, 0, True, 0.01, 0.0),
}


class Network(nn.Module):
    """Of numbers (N, C), or (N, C, bins) encoded piecewise linearly, and codes (N, categories)."""

    def __init__(self, model, numbers, tables, plain):
        super().__init__()
        hidden, rate, size, self.wide = NETWORKS[model][:4]
        self.kernel = None
        width = numbers[0]
        if size:
            bound = numbers[1] ** -0.5
            self.kernel = nn.Parameter(torch.empty(*numbers, size).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.empty(numbers[0], size).uniform_(-bound, bound))
            width *= size
        self.tables = nn.ModuleList(nn.Embedding(*shape) for shape in tables)
        for layer in self.tables:
            nn.init.uniform_(layer.weight, -layer.weight.shape[1] ** -0.5, layer.weight.shape[1] ** -0.5)
        width += sum(columns for _, columns in tables)
        layers, inputs = [], width
        for units in hidden:
            layers += [nn.Linear(inputs, units), nn.ReLU()] + [nn.Dropout(rate)] * (rate > 0 and not plain)
            inputs = units
        self.deep, self.head = nn.Sequential(*layers), nn.Linear(inputs + width * self.wide, 1)

    def forward(self, numbers, codes):
        if self.kernel is not None:
            numbers = torch.bmm(numbers.transpose(0, 1), self.kernel).transpose(0, 1) + self.bias
            numbers = functional.relu(numbers).flatten(1)
        joined = torch.cat([numbers, *(table(codes[:, i]) for i, table in enumerate(self.tables))], 1)
        deep = self.deep(joined)
        return self.head(torch.cat([deep, joined], 1) if self.wide else deep).squeeze(1)


class Trainer:
    """A network, its optimizer and what an update is; the same for all that is measured."""

    def __init__(self, model, net, mode):
        self.net, self.updates = net, 0
        decay, self.ema = NETWORKS[model][4:]
        kernels = [layer.weight for layer in net.modules() if isinstance(layer, nn.Linear)]
        others = [p for p in net.parameters() if all(p is not kernel for kernel in kernels)]
        self.optimizer = torch.optim.AdamW([{"params": kernels, "weight_decay": decay},
                                            {"params": others, "weight_decay": 0.0}], lr=1e-3, fused=True)
        self.parameters = list(net.parameters())
        self.average = [p.detach().clone() for p in self.parameters] if self.ema else None
        self.forward = torch.compile(self.loss) if mode == "compile" else self.loss

    def loss(self, numbers, codes, y):
        return functional.binary_cross_entropy_with_logits(self.net(numbers, codes), y)

    def update(self, numbers, codes, y):
        loss = self.forward(numbers, codes, y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.updates += 1
        if self.average:
            rate = 1 - min(self.ema, (1 + self.updates) / (10 + self.updates))
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.parameters, rate)
        return loss.detach()

    def swap(self):
        """Weights and moving average change places."""
        if self.average:
            for parameter, average in zip(self.parameters, self.average):
                parameter.data, average.data = average.data, parameter.data

    def score(self, numbers, codes, rows=1024):
        self.net.eval()
        with torch.inference_mode():
            logits = [self.net(numbers[i:i + rows], codes[i:i + rows]) for i in range(0, len(codes), rows)]
        self.net.train()
        return torch.cat(logits)

    def fit(self, train, validation, epochs, batch):
        """As Cohort does it: every epoch ends with the loss of the moving average on the validation rows,
        and the best one's weights are kept."""
        best, kept = float("inf"), None
        for _ in range(epochs):
            order = torch.randperm(len(train[2]))
            for first in range(0, len(order), batch):
                rows = order[first:first + batch]
                self.update(train[0][rows], train[1][rows], train[2][rows])
            self.swap()
            loss = functional.binary_cross_entropy_with_logits(self.score(*validation[:2]), validation[2]).item()
            if loss < best:
                best, kept = loss, [p.detach().clone() for p in self.parameters]
            self.swap()
        self.swap()
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, kept)
        return best


def encoded(values, edges):
    low, high = edges[:-1], edges[1:]
    inside = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(inside, low, 0), np.where(inside, high, 1)
    return np.where(inside, np.clip((values[:, None] - low) / (high - low), 0, 1), 0).astype(np.float32)


# ---- the columns of a dataset ----------------------------------------------------------------------

def text(value):
    return value if isinstance(value, str) else value.decode()


class Data:
    """Rows of a dataset by split, as the network takes them: what the model has fitted is applied once."""

    def __init__(self, dataset, model, bins):
        import h5py
        with h5py.File(dataset, "r") as f, h5py.File(model, "r") as m:
            table, fitted = next(iter(f["entities"].values())), m["cohort/preprocessing"]
            layers = [text(name) for name in m["model_weights"].attrs["layer_names"]]
            names = [feature["name"] for feature in json.loads(text(m["cohort/config"][0]))["input_features"]]
            self.tables = [m["model_weights"][name]["embeddings"].shape for name in layers if name.endswith("/embedding")]
            numbers, codes = [], []
            for name in names:
                if isinstance(table[name], h5py.Group):
                    codes.append(fitted[name]["vocabulary"][:][table[name]["codes"][:] + 1])
                elif bins:
                    numbers.append(encoded(table[name][:], fitted[name]["edges"][:]))
                else:
                    numbers.append((table[name][:] - fitted[name]["mean"][0]) * fitted[name]["scale"][0])
            y = next(c for c in table.values() if text(c.attrs["role"]) == "target")[:]
            split = f["samples/split"][:]
        whole = (np.stack(numbers, 1).astype(np.float32), np.stack(codes, 1).astype(np.int64), y.astype(np.float32))
        self.train, self.validation = (tuple(torch.from_numpy(part[split == k]) for part in whole) for k in (0, 1))


def load(net, path):
    import h5py
    with h5py.File(path, "r") as f:
        group = f["model_weights"]
        tables, dense = iter(net.tables), iter([m for m in net.modules() if isinstance(m, nn.Linear)])
        pairs = []
        for name in group.attrs["layer_names"]:
            values = {key: torch.from_numpy(np.array(value)) for key, value in group[text(name)].items()}
            if "embeddings" in values:
                pairs.append((next(tables).weight, values["embeddings"]))
            elif values["kernel"].dim() == 3:
                pairs += [(net.kernel, values["kernel"]), (net.bias, values["bias"])]
            else:
                layer = next(dense)
                pairs += [(layer.weight, values["kernel"].T), (layer.bias, values["bias"])]
    if len(pairs) != len(list(net.parameters())):
        raise ValueError("the model has other parameters than the network here")
    with torch.no_grad():
        for parameter, value in pairs:
            if parameter.shape != value.shape:
                raise ValueError(f"{tuple(value.shape)}, here {tuple(parameter.shape)}")
            parameter.copy_(value)


class Contender:
    """One network under one choice of settings."""

    def __init__(self, request):
        model = request["model"]
        torch.manual_seed(1)
        self.data = Data(request["data"], request["weights"], NETWORKS[model][2])
        net = Network(model, self.data.train[0].shape[1:], self.data.tables, request.get("plain", False))
        load(net, request["weights"])
        self.trainer = Trainer(model, net, request["mode"])
        self.batch, self.rows = request["batch"], len(self.data.train[2])
        self.at, self.order, self.steps = self.rows, None, 1

    def step(self):
        if self.at + self.batch > self.rows:
            self.order, self.at = torch.randperm(self.rows), 0
        rows = self.order[self.at:self.at + self.batch]
        self.at += self.batch
        return self.trainer.update(*(part[rows] for part in self.data.train))


def train(contender, request):
    """Steps a second; their number grows until they take as long as is asked."""
    while True:
        begin = time.perf_counter()
        for _ in range(contender.steps):
            contender.step()
        passed = time.perf_counter() - begin
        if passed >= request["seconds"]:
            return {"rate": contender.steps / passed}
        most = round(1.1 * contender.steps * request["seconds"] / max(passed, 1e-6))
        contender.steps = max(contender.steps + 1, min(10 * contender.steps, most))


def losses(contender, request):
    """Of the first steps, each on all rows, so that their order does not matter."""
    return {"losses": [contender.trainer.update(*contender.data.train).item() for _ in range(request["steps"])]}


def fit(contender, request):
    begin = time.perf_counter()
    loss = contender.trainer.fit(contender.data.train, contender.data.validation, request["epochs"], contender.batch)
    return {"seconds": time.perf_counter() - begin, "loss": loss}


def answer_requests():
    contenders, actions = {}, {"train": train, "losses": losses, "fit": fit}
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            key = json.dumps([request.get(name) for name in ("do", "model", "data", "batch", "mode", "weights", "plain")])
            if key not in contenders or request["do"] == "fit":
                contenders[key] = Contender(request)
            answer = actions[request["do"]](contenders[key], request)
        except Exception as error:  # a setting that does not work here is no contender
            answer = {"error": f"{type(error).__name__}: {error}".split("\n")[0][:200]}
        print(json.dumps(answer), flush=True)


# ---- from a file to scores -------------------------------------------------------------------------

def edges_of(values, most):
    """All values where there are few; else heavy ones, and quantiles of the others."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= most + 1:
        return distinct
    heavy = distinct[counts >= len(values) / most]
    rest = values[~np.isin(values, heavy)]
    return np.unique(np.concatenate([heavy, np.quantile(rest, np.linspace(0, 1, most - len(heavy) + 1))]))


def score_file(path, target, positive, key, epochs, batch, output):
    import pandas
    frame = pandas.read_csv(path)
    y = torch.from_numpy((frame[target].astype(str) == positive).to_numpy(np.float32))
    torch.manual_seed(1)
    split = torch.rand(len(frame))
    learned, checked = torch.nonzero(split < 0.7)[:, 0], torch.nonzero((split >= 0.7) & (split < 0.8))[:, 0]
    numbers, codes, tables = [], [], []
    for name in frame.columns.drop([target] + ([key] if key else [])):
        column = frame[name]
        values = pandas.to_numeric(column, errors="coerce")
        if values.notna().mean() > 0.9 and column.dtype != bool:
            values = values.to_numpy(np.float64)
            values = np.where(np.isnan(values), np.nanmedian(values[learned]), values)
            edges = edges_of(values[learned], 48)
            part = np.zeros((len(values), 48), np.float32)
            part[:, :len(edges) - 1] = encoded(values, edges)
            numbers.append(part)
        else:
            column = column.astype(str)
            known = {value: i + 1 for i, value in enumerate(sorted(column.iloc[learned.numpy()].unique()))}
            codes.append(column.map(known).fillna(0).to_numpy(np.int64))
            tables.append((len(known) + 1, min(16, (len(known) + 2) // 2)))
    numbers, codes = torch.from_numpy(np.stack(numbers, 1)), torch.from_numpy(np.stack(codes, 1))
    net = Network("shopper-mlp", numbers.shape[1:], tables, False)
    trainer = Trainer("shopper-mlp", net, "eager")
    rows = [(numbers[part], codes[part], y[part]) for part in (learned, checked)]
    loss = trainer.fit(*rows, epochs, batch)
    scores = pandas.DataFrame({"key": frame[key] if key else np.arange(len(frame))})
    scores[target + "_score"] = torch.sigmoid(trainer.score(numbers, codes)).numpy()
    scores.to_csv(output, index=False)
    print(json.dumps({"rows": len(scores), "loss": loss}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--csv", nargs=4, metavar=("FILE", "TARGET", "POSITIVE", "SCORES"))
    parser.add_argument("--key")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    if not options.csv:
        return answer_requests()
    path, target, positive, output = options.csv
    return score_file(path, target, positive, options.key, options.epochs, options.batch, output)


if __name__ == "__main__":
    main()
