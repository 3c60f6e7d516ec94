# SPDX-License-Identifier: Apache-2.0
"""A sequence: purchases of any number, through an LSTM, to whether the customer buys again."""
import vertical  # first: it says where there is no numpy
from vertical import need

import numpy as np

import baselines
import data

ROC_AUC = 0.771
RFM_ROC_AUC = 0.7733  # of a logistic regression on the same customers; baselines.py


def check_scores(v, run, customers):
    whole = v.predict(run)
    auc = baselines.roc_auc(np.array([float(row["repurchase_score"]) for row in whole.values()]),
                            np.array([data.buys_again(customers[key]) for key in whole]))
    need(abs(auc - v.evaluate(run)["roc_auc"]) < 1e-9, "evaluate has another area than the scores")
    # Alone, a row is padded to its own length; among many, to that of the longest.
    lengths = np.unique(vertical.fitted(run, "since")["lengths"], axis=0)
    need(len(lengths) >= 3, f"few classes of length: {lengths}")
    for size in ("1", "10", "4000"):
        vertical.agree(whole, v.predict(run, "d.h5", "--batch-size", size), ["repurchase_score"],
                       f"batches of {size}")


def check_future(v, customers):
    """What lies behind the end of a row's events is where padding would be read from: whatever it is,
    neither what is learned nor what is scored differs by a byte."""
    some = dict(list(customers.items())[:3000])
    words = ("--trainer.max_epochs", "1")
    scores = []
    for name, future in (("past", None), ("future", 1e6), ("none", np.nan)):
        data.write_purchases("d.h5", some, future)
        v.train(name, *words)
        v.predict(name)
        with open("scores.csv", "rb") as f:
            scores.append((vertical.weights_sha256(v, name), f.read()))
    need(scores[0] == scores[1], "events behind the cut-off change what is learned or scored")
    need(scores[0] == scores[2], "missing values behind the cut-off change what is learned or scored")


def on_cpu(v, customers):
    data.write_purchases("d.h5", customers)
    v.train("run")
    auc = v.evaluate("run", "--require", f"roc_auc>={ROC_AUC}")["roc_auc"]
    print(f"ROC AUC {auc:.4f}, at least {ROC_AUC} wanted; RFM {RFM_ROC_AUC}")
    check_scores(v, "run", customers)
    vertical.check_exact(v, "--trainer.max_epochs", "1")
    check_future(v, customers)


def on_device(v, customers):
    data.write_purchases("d.h5", dict(list(customers.items())[:4000]))
    log = vertical.check_device(v, "--trainer.batch_size", "512")
    graphs = vertical.captured(log)
    lengths = {length for _, _, length in graphs}
    print(f"{len(graphs)} graphs were recorded, of {len(lengths)} classes of length")
    need(len(lengths) >= 3, f"few classes: {graphs}")
    need(len(graphs) <= 48, f"{len(graphs)} graphs")


with vertical.Vertical("sequence", data.path("cdnow", "CDNOW_master.txt")) as vert:
    (on_device if vert.device == "cuda" else on_cpu)(vert, data.histories())
print("all passed")
