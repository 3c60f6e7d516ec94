# SPDX-License-Identifier: Apache-2.0
"""Customers through a few numbers and back: which rows are unusual, how much the numbers keep, what a
model learns from them alone. The preset customer-autoencoder over online_shoppers."""
import vertical  # first: it says where there is no numpy
from vertical import need

import csv
import os

import numpy as np

import baselines
import data

ROC_AUC = 0.74  # of the errors, for rows some of whose values are another row's
OF_CODES = 0.89  # of a logistic regression on the codes, for what no code was trained on
NAMES = {data.TRAIN: "train", data.VALIDATION: "validation", data.TEST: "test"}
INPUTS = data.NUMBERS + data.CATEGORIES
FEW = 4  # codes of the numbers alone
TYPES = [w for c in data.CATEGORIES if c != "Weekend" for w in ("--type", f"{c}=category")]


def read_rows():
    with open(data.path("online_shoppers", "online_shoppers_intention.csv"), encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    for i, row in enumerate(rows):
        row["session"] = f"s{i}"
    for row, s in zip(rows, data.split([row["session"] for row in rows])):
        row["split"] = NAMES[s]
    return rows


def write(name, rows, columns):
    with open(name, "w", encoding="utf-8", newline="") as f:
        writer = csv.DictWriter(f, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def make(v, name, rows, columns, *words):
    write(name + ".csv", rows, ["session", "split", *columns])
    v.run("import", "-O", name + ".h5", "--key", "session", "--split", "column:split", *words,
          name + ".csv")


def plant(rows):
    """A tenth of the rows get a third of their values from another row; which ones."""
    planted = np.array([data.chance("planted", row["session"]) < .1 for row in rows])
    mixed = []
    for row, is_planted in zip(rows, planted):
        row = dict(row)
        other = rows[int(len(rows) * data.chance("other", row["session"]))]
        order = sorted(INPUTS, key=lambda c: data.chance(c, row["session"]))
        if is_planted:
            row.update({c: other[c] for c in order[:len(INPUTS) // 3]})
        mixed.append(row)
    return mixed, planted


def encoded(rows, train):
    """Numbers by their ranks among the training rows, categories one by one."""
    columns = []
    for name in data.NUMBERS:
        known = np.sort([float(row[name]) for row in train])
        columns.append(np.searchsorted(known, [float(row[name]) for row in rows], "right") / len(known))
    for name in data.CATEGORIES:
        for known in sorted({row[name] for row in train}):
            columns.append(np.array([row[name] == known for row in rows], dtype=float))
    return np.stack(columns, axis=1)


def of_components(train, test, count):
    """Squared errors of rows given back by principal components."""
    middle = train.mean(axis=0)
    _, vectors = np.linalg.eigh((train - middle).T @ (train - middle))
    kept = vectors[:, -count:]
    return ((test - middle) - (test - middle) @ kept @ kept.T)**2


def check_anomalies(v, rows):
    train = [row for row in rows if row["split"] == "train"]
    mixed, planted = plant([row for row in rows if row["split"] == "test"])
    write("mixed.csv", mixed, ["session", *INPUTS])
    v.run("predict", "-m", "run", "--dataset", "mixed.csv", "--key", "session", "-O", "errors.csv",
          "--columns", "key,reconstruction_error,reconstruction.rank")
    with open("errors.csv", encoding="utf-8") as f:
        scored = list(csv.DictReader(f))
    errors = np.array([float(row["reconstruction_error"]) for row in scored])
    ranks = np.array([int(row["reconstruction_rank"]) for row in scored])
    need((np.diff(errors[np.argsort(ranks)]) <= 0).all(), "ranks are not those of the errors")
    auc = baselines.roc_auc(errors, planted)
    rest = of_components(encoded(train, train), encoded(mixed, train), 16).sum(axis=1)
    pca = baselines.roc_auc(rest, planted)
    print(f"ROC AUC of errors {auc:.4f}, at least {ROC_AUC} wanted; of 16 principal components {pca:.4f}")
    need(auc >= max(ROC_AUC, pca), f"planted rows are found with an area of {auc}")


def check_errors(v):
    """What a row is told is what evaluate tells of all."""
    whole = v.predict("run")
    means = {c: np.mean([float(row[c]) for row in whole.values()]) for c in next(iter(whole.values()))
             if c.startswith("reconstruction_error")}
    said = v.evaluate("run")
    parts = {"reconstruction_error": INPUTS, "mse": data.NUMBERS,
             "log_loss": [c for c in INPUTS if c not in data.NUMBERS]}
    for name, columns in parts.items():
        mean = np.mean([means[f"reconstruction_error:{c}"] for c in columns])
        need(abs(mean - said[name]) < 1e-6, f"{name}: evaluate says {said[name]}, of rows it is {mean}")
    need(abs(means["reconstruction_error"] - said["reconstruction_error"]) < 1e-6, "the mean of rows")
    for size in ("1", "37"):
        vertical.agree(whole, v.predict("run", "d.h5", "--batch-size", size), ["reconstruction_error"],
                       f"batches of {size}")


def check_codes(v, rows):
    """Codes as the columns of a table that another model is trained on."""
    v.run("predict", "-m", "run", "--dataset", "d.h5", "-O", "codes.csv", "--columns", "key,embedding")
    with open("codes.csv", encoding="utf-8") as f:
        codes = list(csv.DictReader(f))
    need([c["session"] for c in codes] == [row["session"] for row in rows], "not the rows' order")
    names = [c for c in codes[0] if c != "session"]
    need(names == [f"embedding_{i}" for i in range(16)], f"columns {names}")
    for code, row in zip(codes, rows):
        code.update(split=row["split"], Revenue=row["Revenue"])
    make(v, "codes", codes, [*names, "Revenue"], "--target", "Revenue")
    v.run("train", "-c", os.path.join(vertical.FOLDER, "../../models/presets/shopper-logistic.yaml"),
          "--dataset", "codes.h5", "--run-dir", "of_codes")
    auc = v.evaluate("of_codes", "--require", f"roc_auc>={OF_CODES}", dataset="codes.h5")["roc_auc"]
    print(f"ROC AUC of a logistic regression on codes {auc:.4f}, at least {OF_CODES} wanted")


def check_against_components(v, rows):
    """Numbers alone, by their ranks: fewer errors than as many principal components."""
    splits = np.array([row["split"] for row in rows])
    train = [row for row in rows if row["split"] == "train"]
    x = encoded(rows, train)[:, :len(data.NUMBERS)]
    pca = np.mean(of_components(x[splits == "train"], x[splits == "test"], FEW))
    ranked = [{"session": row["session"], "split": row["split"],
               **{c: repr(float(value)) for c, value in zip(data.NUMBERS, values)}}
              for row, values in zip(rows, x)]
    make(v, "numbers", ranked, data.NUMBERS, *(w for c in data.NUMBERS for w in ("--type", f"{c}=number")))
    v.train("numbers", "--dataset", "numbers.h5", "--bottleneck.size", str(FEW),
            "--bottleneck.swap_noise", "0", "--defaults.number.preprocessing.normalization", "none",
            "--trainer.max_epochs", "20", "--trainer.batch_size", "64")
    mse = v.evaluate("numbers", "--require", f"mse<{pca}", dataset="numbers.h5")["mse"]
    print(f"mse {mse:.6f}, of as many principal components {pca:.6f}")


def on_cpu(v, rows):
    make(v, "d", rows, INPUTS, *TYPES)
    v.train("run", "--trainer.max_epochs", "20")
    check_errors(v)
    check_anomalies(v, rows)
    check_codes(v, rows)
    check_against_components(v, rows)
    make(v, "d", rows[:3000], INPUTS, "--force", *TYPES)
    vertical.check_exact(v, "--trainer.max_epochs", "2")


def on_device(v, rows):
    make(v, "d", rows[:400], INPUTS, *TYPES)
    vertical.check_device(v, "--trainer.batch_size", "32")


with vertical.Vertical("codes", data.path("online_shoppers", "online_shoppers_intention.csv")) as vert:
    vert.config = os.path.join(vertical.FOLDER, "../../models/presets/customer-autoencoder.yaml")
    (on_device if vert.device == "cuda" else on_cpu)(vert, read_rows())
print("all passed")
