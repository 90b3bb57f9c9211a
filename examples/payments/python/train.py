"""Trains a model on rows that `trifold backfill` computed, and writes the order of its features beside it."""

import argparse
import json
import os
from collections import defaultdict, deque

import joblib
from sklearn.ensemble import HistGradientBoostingClassifier

import offline
from features import FEATURES

TEN_MINUTES = 600


def label(table):
    """What an investigation would have found, by a rule: a card that is tried out, or that buys much elsewhere."""
    recent, countries, spent = defaultdict(deque), {}, defaultdict(lambda: [0, 0.0])
    labels = []
    columns = ("card", "event_time", "amount", "country", "declined")
    rows = zip(*(table[name].to_pylist() for name in columns))
    for card, time, amount, country, declined in rows:
        times, (count, total) = recent[card], spent[card]
        times.append(time)
        while times and (time - times[0]).total_seconds() > TEN_MINUTES:
            times.popleft()
        moved = country is not None and countries.get(card, country) != country
        much = count > 0 and amount > 2 * total / count
        labels.append((len(times) >= 3 and (declined or much)) or (moved and much))
        countries[card] = country or countries.get(card)
        spent[card] = [count + 1, total + amount]
    return labels


def train(trifold, log, rows, work):
    """Trains on the first payments of a log, as they were when each arrived."""
    table = offline.payments(log).slice(0, rows)
    labels = label(table)
    spine = os.path.join(work, "training.parquet")
    offline.write_spine(table, spine, labels)
    tables = offline.backfill(trifold, log, spine, os.path.join(work, "training"))
    # A payment that came too late to count may be of a card of which nothing else was known: it teaches nothing.
    tables = offline.keep(tables, offline.known(tables))
    matrix = offline.matrix(tables, FEATURES)
    labels = tables["payment_risk"]["is_fraud"].to_pylist()
    # Trees add their leaves in one order, row by row. A product of matrices may add otherwise for a batch than for a row.
    model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=0)
    model.fit(matrix, labels)
    joblib.dump(model, os.path.join(work, "model.joblib"))
    about = {
        "features": list(FEATURES),
        "views": offline.versions(tables),
        "rows": len(labels),
        "frauds": sum(labels),
    }
    with open(os.path.join(work, "model.json"), "w", encoding="utf-8") as file:
        json.dump(about, file, indent=2)
    return about


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trifold", default="trifold", help="the command [trifold]")
    parser.add_argument("--log", required=True, help="the log of payments, a directory of Parquet files")
    parser.add_argument("--rows", type=int, default=15000, help="how many payments to train on [15000]")
    parser.add_argument("--out", required=True, help="where to put the model")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    print(json.dumps(train(arguments.trifold, arguments.log, arguments.rows, arguments.out), indent=2))


if __name__ == "__main__":
    main()
