# SPDX-License-Identifier: Apache-2.0
"""The data sets of the verticals, written with h5py from the shared data as datasets/README.md says."""
import csv
import datetime
import gzip
import os
import zlib

import h5py
import numpy as np

NUMBERS = ["Administrative", "Administrative_Duration", "Informational", "Informational_Duration",
           "ProductRelated", "ProductRelated_Duration", "BounceRates", "ExitRates", "PageValues",
           "SpecialDay"]
CATEGORIES = ["Month", "OperatingSystems", "Browser", "Region", "TrafficType", "VisitorType",
              "Weekend"]
WITH_GAPS = ["ProductRelated_Duration", "SpecialDay"]  # numbers of which some are taken out
CUT_OFF = datetime.date(1997, 9, 30)  # the last day of history
HORIZON = datetime.timedelta(weeks=39)
TRAIN, VALIDATION, TEST = 0, 1, 2


def path(*names):
    root = os.environ.get("COHORT_TEST_DATA") or os.environ.get("COHORT_TEST_DATA_DEFAULT", "")
    return os.path.join(root, *names)


def chance(what, i):
    """A number in [0, 1) that depends on nothing but its arguments."""
    return zlib.crc32(f"{what} {i}".encode()) / 2**32


def split(keys):
    """A tenth for validation, two tenths for the test, by key."""
    u = np.array([chance("split", k) for k in keys])
    return np.where(u < .1, VALIDATION, np.where(u < .3, TEST, TRAIN)).astype(np.int8)


def begin(name, version):
    f = h5py.File(name, "w", track_order=True)
    f.attrs["format"] = "cohort-dataset"
    f.attrs["version"] = version
    return f


def column(group, name, values, kind, role):
    made = group.create_dataset(name, data=values)
    made.attrs["type"] = kind
    made.attrs["role"] = role
    return made


def category(group, name, texts):
    made = group.create_group(name)
    made.attrs["type"] = "category"
    made.attrs["role"] = "input"
    names = sorted(set(texts))
    place = {text: i for i, text in enumerate(names)}
    made["codes"] = np.array([place[text] for text in texts], dtype=np.int32)
    made["categories"] = names


# ---- customers: sessions of a shop that end in a purchase or not ---------------------------------


def sessions():
    with open(path("online_shoppers", "online_shoppers_intention.csv"), encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    for i, row in enumerate(rows):
        row["session"] = str(i)
    return rows


def number(row, name):
    gone = name in WITH_GAPS and chance(name, row["session"]) < .03
    return np.nan if gone else float(row[name])


def write_customers(name, rows):
    keys = [row["session"] for row in rows]
    with begin(name, 2) as f:
        table = f.create_group("entities/sessions", track_order=True)
        column(table, "session", keys, "text", "key")
        for c in NUMBERS:
            column(table, c, np.array([number(row, c) for row in rows]), "number", "input")
        for c in CATEGORIES:
            category(table, c, [row[c] for row in rows])
        bought = np.array([row["Revenue"] == "TRUE" for row in rows], dtype=np.int8)
        target = column(table, "Revenue", bought, "binary", "target")
        target.attrs["classes"] = ["FALSE", "TRUE"]
        f["samples/split"] = split(keys)


# ---- images of products ----------------------------------------------------------------------------


def images(part):
    with gzip.open(path("fashion_mnist", f"{part}-images-idx3-ubyte.gz")) as f:
        return np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)


def write_images(name, pixels, splits):
    with begin(name, 1) as f:
        column(f.create_group("entities/products"), "image", pixels, "image", "input")
        f["samples/split"] = splits.astype(np.int8)


# ---- events: purchases of customers of a shop for music --------------------------------------------


def histories():
    """By customer: (day, how many CDs, dollars) of each purchase, in order of time."""
    found = {}
    with open(path("cdnow", "CDNOW_master.txt"), encoding="ascii") as f:
        for line in list(f)[1:]:
            words = line.split()
            if not words:
                continue
            day = datetime.datetime.strptime(words[1], "%Y%m%d").date()
            found.setdefault(words[0], []).append((day, int(words[2]), float(words[3])))
    return {key: sorted(events, key=lambda e: e[0]) for key, events in sorted(found.items())}


def seen(events):
    """How many purchases the history has."""
    return sum(day <= CUT_OFF for day, _, _ in events)


def buys_again(events):
    return any(CUT_OFF < day <= CUT_OFF + HORIZON for day, _, _ in events)


def write_purchases(name, customers, future=None):
    """`future`: what all purchases behind the cut-off are said to have been, instead of what they were."""
    columns = {"since": [], "gap": [], "cds": [], "amount": []}
    offsets, ends = [0], []
    for events in customers.values():
        before = None
        for i, (day, cds, dollars) in enumerate(events):
            values = ((CUT_OFF - day).days, (day - before).days if before else 0, np.log1p(cds),
                      np.log1p(dollars))
            if future is not None and i >= seen(events):
                values = (future,) * 4
            for c, value in zip(columns.values(), values):
                c.append(value)
            before = day
        ends.append(offsets[-1] + seen(events))
        offsets.append(offsets[-1] + len(events))
    keys = list(customers)
    with begin(name, 2) as f:
        table = f.create_group("entities/customers", track_order=True)
        column(table, "customer", keys, "text", "key")
        again = np.array([buys_again(events) for events in customers.values()], dtype=np.int8)
        column(table, "repurchase", again, "binary", "target")
        purchases = f.create_group("events/purchases", track_order=True)
        purchases.attrs["entity"] = "customers"
        purchases["offsets"] = np.array(offsets, dtype=np.int64)
        for c, values in columns.items():
            column(purchases, c, np.array(values, dtype=np.float64), "number", "input")
        f["samples/split"] = split(keys)
        f["samples/purchases.begin"] = np.array(offsets[:-1], dtype=np.int64)
        f["samples/purchases.end"] = np.array(ends, dtype=np.int64)
