# SPDX-License-Identifier: Apache-2.0
"""Customers: numbers, some of them missing, and categories to one of two outcomes."""
import vertical  # first: it says where there is no numpy
from vertical import need

import numpy as np

import baselines
import data

ROC_AUC = 0.89


def check_fitted(run, rows):
    """What the model learned is what the training rows say."""
    train = [row for row, s in zip(rows, data.split([row["session"] for row in rows])) if s == data.TRAIN]
    for name in data.NUMBERS:
        x = np.array([data.number(row, name) for row in train])
        need(np.isnan(x).any() == (name in data.WITH_GAPS), f"{name}: what is missing")
        fitted = vertical.fitted(run, name)
        np.testing.assert_allclose(fitted["mean"], [np.nanmean(x)], rtol=1e-6)
        np.testing.assert_allclose(fitted["scale"], [1 / np.nanstd(x)], rtol=1e-6)
    counts = {}
    for row in train:
        counts[row["Browser"]] = counts.get(row["Browser"], 0) + 1
    frequent = sum(count >= 50 for count in counts.values())
    vocabulary = vertical.fitted(run, "Browser")["vocabulary"]
    need(0 < frequent < len(counts), "no browser is rare")
    need(len(set(vocabulary[vocabulary > 0])) == frequent, f"{frequent} browsers are frequent: {vocabulary}")


def check_scores(v, run, rows):
    whole = v.predict(run)
    labels = {row["session"]: row["Revenue"] for row in rows}
    for key, row in whole.items():
        score = float(row["Revenue_score"])
        need(0 <= score <= 1, f"row {key}: no probability, {score}")
        need(row["Revenue"] == ("TRUE" if score >= 0.5 else "FALSE"), f"row {key}: {row}")
    auc = baselines.roc_auc(np.array([float(row["Revenue_score"]) for row in whole.values()]),
                            np.array([labels[key] == "TRUE" for key in whole]))
    need(abs(auc - v.evaluate(run)["roc_auc"]) < 1e-9, "evaluate has another area than the scores")
    for size in ("1", "7", "1000"):
        vertical.agree(whole, v.predict(run, "d.h5", "--batch-size", size), ["Revenue_score"],
                       f"batches of {size}")
    data.write_customers("backwards.h5", rows[::-1])
    vertical.agree(whole, v.predict(run, "backwards.h5"), ["Revenue_score"], "other neighbours")


def on_cpu(v, rows):
    data.write_customers("d.h5", rows)
    v.train("run")
    auc = v.evaluate("run", "--require", f"roc_auc>={ROC_AUC}")["roc_auc"]
    print(f"ROC AUC {auc:.4f}, at least {ROC_AUC} wanted")
    check_fitted("run", rows)
    check_scores(v, "run", rows)
    vertical.check_exact(v, "--trainer.max_epochs", "2")


def on_device(v, rows):
    data.write_customers("d.h5", rows[:2000])
    vertical.check_device(v, "--trainer.batch_size", "64")


with vertical.Vertical("customers", data.path("online_shoppers", "online_shoppers_intention.csv")) as vert:
    (on_device if vert.device == "cuda" else on_cpu)(vert, data.sessions())
print("all passed")
