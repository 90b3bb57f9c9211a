"""Holds the scores of the service against those of a backfill: all bits, of features and of scores.

It trains on the first payments, streams these, starts the servers, and scores the next payment of each card, with the
payment in hand and at the moment of its arrival. Then it asks a backfill for the same rows.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import timedelta

HERE = os.path.dirname(os.path.abspath(__file__))
PROTO = os.path.join(HERE, "../../../proto")

LATENESS = timedelta(hours=1)
MAX_EARLY = timedelta(minutes=1)


def generate(out):
    """Makes the client of the server's contract."""
    os.makedirs(out, exist_ok=True)
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", PROTO, "--python_out", out, "--grpc_python_out", out]
    subprocess.run([*command, os.path.join(PROTO, "trifold/online/v1/online.proto")], check=True)
    sys.path.insert(0, out)
    os.environ["PYTHONPATH"] = out


def start(command):
    """Starts a process that prints where it listens, and waits until it does."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{' '.join(command)} does not listen: it ended with {process.wait()}")
    return process, json.loads(line)["listening"]


def ask(url, payment=None):
    """The status and the answer of the service."""
    data = None if payment is None else json.dumps(payment).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def as_json(row):
    """A payment as a caller of the service sends it."""
    times = {"event_time": row["event_time"].isoformat(), "as_of": row["arrived_at"].isoformat()}
    return {name: value for name, value in row.items() if name != "arrived_at"} | times


def held_out(table, rows, count):
    """The first payment of each card after the first rows: for its card, the log goes just up to it."""
    seen, numbers = set(), []
    for number, card in enumerate(table["card"].to_pylist()[rows:], rows):
        if card not in seen:
            seen.add(card)
            numbers.append(number)
    return table.take(numbers[:count])


def counts(row):
    """Whether the views take a payment that arrives then."""
    return -MAX_EARLY <= row["arrived_at"] - row["event_time"] <= LATENESS


def compare(arguments, service, rows):
    """Scores online and offline. Returns how many were compared, and how many the views do not take."""
    import joblib

    import offline
    from features import VIEWS, bits, scores

    answers = [ask(f"{service}/score", as_json(row)) for row in rows.to_pylist()]
    taken = [counts(row) for row in rows.to_pylist()]
    for row, (status, answer), is_taken in zip(rows.to_pylist(), answers, taken):
        if status != (200 if is_taken else 422):
            raise SystemExit(f"{row}: {status} {answer}")
        if not is_taken and "does not count" not in answer["error"]:
            raise SystemExit(f"{row}: {answer}")
    rows = rows.filter(taken)
    answers = [answer for status, answer in answers if status == 200]
    spine = os.path.join(arguments.work, "held-out.parquet")
    offline.write_spine(rows, spine)
    tables = offline.backfill(arguments.trifold, arguments.log, spine, os.path.join(arguments.work, "held-out"))
    model = joblib.load(os.path.join(arguments.work, "model.joblib"))
    with open(os.path.join(arguments.work, "model.json"), encoding="utf-8") as file:
        features = json.load(file)["features"]
    matrix = offline.matrix(tables, features)
    for place, (answer, score) in enumerate(zip(answers, scores(model, matrix), strict=True)):
        found = {
            "score_bits": bits(score),
            "feature_bits": [bits(value) for value in matrix[place]],
            "as_of_micros": tables[VIEWS[0]]["_as_of"][place].value,
            "digests": [tables[view]["_row_digest"][place].as_py().hex() for view in VIEWS],
            "components": [tables[view]["_component"][place].as_py() for view in VIEWS],
        }
        answer["digests"] = [answer["views"][view]["digest"] for view in VIEWS]
        answer["components"] = [answer["views"][view]["component"] for view in VIEWS]
        for name, offline_value in found.items():
            if answer[name] != offline_value:
                raise SystemExit(f"{rows['event_id'][place]}: {name} differs: {answer[name]} and {offline_value}")
    # Equal scores prove little if all of them are the same.
    distinct = len({answer["score_bits"] for answer in answers})
    return {"compared": len(answers), "distinct": distinct, "refused": taken.count(False)}


def check_restart(arguments, server, url, service, payment):
    """Who asks while the server is away has an answer once it is back, within the deadline."""
    expected = ask(f"{service}/score", payment)
    server.kill()
    server.wait()
    before, answers = ask(service)[1]["retries"], []
    asking = threading.Thread(target=lambda: answers.append(ask(f"{service}/score", payment)))
    asking.start()
    while ask(service)[1]["retries"] == before and asking.is_alive():
        time.sleep(0.01)
    server, _ = start([*serve(arguments), "--listen", url.removeprefix("http://")])
    asking.join()
    if answers != [expected]:
        raise SystemExit(f"after a restart: {answers} instead of {expected}")
    return server


def check_deadline(arguments, server, url, payment):
    """A server that stands still costs a caller no more than the deadline."""
    import grpc

    from service import Scorer

    scorer = Scorer(arguments.work, url, deadline=10)
    scorer.lookups.deadline = 0.3
    server.send_signal(signal.SIGSTOP)
    try:
        scorer.score(payment)
        raise SystemExit("a server that stands still has answered")
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
    finally:
        server.send_signal(signal.SIGCONT)
    scorer.lookups.deadline = 10
    scorer.score(payment)


def serve(arguments):
    return [arguments.trifold, "serve", "--format", "json"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trifold", default="trifold", help="the command [trifold]")
    parser.add_argument("--log", required=True, help="the log of payments, a directory of Parquet files")
    parser.add_argument("--rows", type=int, default=15000, help="how many payments to train on [15000]")
    parser.add_argument("--held-out", type=int, default=100, help="how many payments to score at most [100]")
    parser.add_argument("--work", required=True, help="a directory for the client, the model and the rows")
    arguments = parser.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    generate(os.path.join(arguments.work, "client"))

    import offline
    from train import train

    about = train(arguments.trifold, arguments.log, arguments.rows, arguments.work)
    stream = ["stream", "--events", arguments.log, "--arrival", "arrived_at", "--stop-at", str(arguments.rows)]
    subprocess.run([arguments.trifold, *stream], check=True, stdout=subprocess.DEVNULL)
    rows = held_out(offline.payments(arguments.log), arguments.rows, arguments.held_out)
    server, url = start([*serve(arguments), "--listen", "127.0.0.1:0"])
    command = [sys.executable, os.path.join(HERE, "service.py"), "--model", arguments.work, "--server", url]
    service, address = start([*command, "--listen", "127.0.0.1:0", "--deadline", "60"])
    try:
        compared = compare(arguments, address, rows)
        payment = as_json(next(row for row in rows.to_pylist() if counts(row)))
        check_deadline(arguments, server, url, payment)
        server = check_restart(arguments, server, url, address, payment)
    finally:
        for process in (service, server):
            process.kill()
            process.wait()
    print(json.dumps({"trained": about["rows"], "frauds": about["frauds"], **compared}))


if __name__ == "__main__":
    main()
