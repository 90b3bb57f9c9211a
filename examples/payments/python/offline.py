"""The offline side: point-in-time rows of `trifold backfill`, joined in the order of the spine."""

import os
import subprocess

import numpy
import pyarrow as pa
import pyarrow.parquet as parquet

from features import VIEWS, number


def payments(log):
    """The log of payments, in the order in which they arrived."""
    return parquet.read_table(log)


def write_spine(table, path, labels=None):
    """Asks for each payment at the moment of its arrival: what had arrived by then, itself included."""
    columns = {
        "payment": table["event_id"],
        "card": table["card"],
        "as_of": table["arrived_at"],
        "amount": table["amount"],
        "country": table["country"],
    }
    if labels is not None:
        columns["is_fraud"] = pa.array(labels, pa.bool_())
    parquet.write_table(pa.table(columns), path)


def backfill(trifold, log, spine, out):
    """Computes the rows of all views for a spine: a table of each view, whose row i is that of the spine's row i."""
    tables = {}
    for view in VIEWS:
        directory = os.path.join(out, view)
        command = [trifold, "backfill", view, "--events", log, "--arrival", "arrived_at", "--spine", spine]
        command += ["--cut", "arrival", "--digest", "--out", directory]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        files = sorted(name for name in os.listdir(directory) if name.endswith(".parquet"))
        table = pa.concat_tables(parquet.read_table(os.path.join(directory, name)) for name in files)
        tables[view] = table.sort_by("_spine_row")
    return tables


def matrix(tables, features):
    """The features as numbers, column by column in this order. A row without a value is an error of whoever asks."""
    columns = []
    for feature in features:
        view, name = feature.split(".")
        statuses = set(tables[view]["_status"].to_pylist())
        if statuses != {"value"}:
            raise ValueError(f"{view} has rows that are {', '.join(sorted(statuses - {'value'}))}: leave them out")
        columns.append([number(value) for value in tables[view][name].to_pylist()])
    return numpy.array(columns, dtype=numpy.float64).T


def keep(tables, mask):
    """The rows of all views for which the mask is true."""
    return {view: table.filter(pa.array(mask)) for view, table in tables.items()}


def known(tables):
    """For each row whether every view has a value."""
    statuses = zip(*(table["_status"].to_pylist() for table in tables.values()))
    return [all(status == "value" for status in row) for row in statuses]


def versions(tables):
    """Which version of each view computed the rows, by number and by the digest of its component."""
    found = {}
    for view, table in tables.items():
        (made,) = set(zip(table["_version"].to_pylist(), table["_component"].to_pylist()))
        found[view] = {"version": made[0], "component": made[1]}
    return found
