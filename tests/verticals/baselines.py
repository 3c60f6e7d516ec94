#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What simpler methods reach on the rows of the verticals: the figures that stand in README.md.
COHORT_TEST_DATA names the shared data."""
import numpy as np

import data

CODES = 32


def roc_auc(scores, labels):
    """The probability that a positive is ranked before a negative; ties count half."""
    order = np.argsort(scores, kind="stable")
    _, first, count = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(first + (count + 1) / 2, count)
    positives = labels.sum()
    return (ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (
        positives * (len(labels) - positives))


def principal_components():
    """Mean squared error in pixels / 255 of the test images, of as many components as there are codes,
    fitted to the training images."""
    train = data.images("train").reshape(-1, 784) / 255
    test = data.images("t10k").reshape(-1, 784) / 255
    middle = train.mean(axis=0)
    _, vectors = np.linalg.eigh((train - middle).T @ (train - middle))
    kept = vectors[:, -CODES:]
    rest = (test - middle) - (test - middle) @ kept @ kept.T
    return np.mean(rest**2)


def logistic(x, y, steps=30):
    """Maximum likelihood by Newton's method; x has a column of ones."""
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ w))
        w += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
    return w


def recency_frequency_monetary():
    """ROC AUC on the test customers of a logistic regression on recency, frequency, monetary value."""
    customers = data.histories()
    rows = []
    for events in customers.values():
        history = events[:data.seen(events)]
        rows.append(((data.CUT_OFF - history[-1][0]).days, np.log1p(len(history)),
                     np.log1p(sum(e[2] for e in history))))
    x = np.array(rows, dtype=float)
    y = np.array([data.buys_again(events) for events in customers.values()], dtype=float)
    splits = data.split(customers)
    train = splits == data.TRAIN
    x = np.column_stack([np.ones(len(x)), (x - x[train].mean(0)) / x[train].std(0)])
    w = logistic(x[train], y[train])
    return roc_auc(x[splits == data.TEST] @ w, y[splits == data.TEST])


if __name__ == "__main__":
    print(f"images, {CODES} principal components: mse {principal_components():.5f}")
    print(f"purchases, logistic regression on RFM: ROC AUC {recency_frequency_monetary():.4f}")
