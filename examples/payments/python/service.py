"""A model service: POST /score takes a payment and answers with its score.

    {"event_id": "p-new", "event_time": "2026-01-02T03:00:00Z", "card": "c-1", "merchant": "m-1", "country": "PL",
     "channel": "online", "amount": 250.0, "declined": false}

The payment is in no log yet. It is sent with the lookup as the event in hand, so that the features are those that a
backfill computes for it later. `as_of`, if given, is the time of its arrival; else the server's clock says it.
"""

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import joblib
import numpy

from features import bits, number, scores
from lookup import Lookups, NoPayment, Unanswered


class Scorer:
    """A model, and where its features come from."""

    def __init__(self, directory, server, deadline):
        self.model = joblib.load(os.path.join(directory, "model.joblib"))
        with open(os.path.join(directory, "model.json"), encoding="utf-8") as file:
            self.features = json.load(file)["features"]
        self.lookups = Lookups(server, self.features, deadline)

    def score(self, payment):
        if not isinstance(payment, dict):
            raise NoPayment("it is no JSON object")
        found, views, as_of = self.lookups.look_up(payment, payment.get("as_of"))
        # In the order that the model was trained with, whatever the order of the answer.
        row = [number(found[feature]) for feature in self.features]
        (score,) = scores(self.model, numpy.array([row], dtype=numpy.float64))
        return {
            "score": score,
            "score_bits": bits(score),
            "feature_bits": [bits(value) for value in row],
            "as_of_micros": as_of,
            "views": views,
        }


class Handler(BaseHTTPRequestHandler):
    """Answers with the status that says who can do something about it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/score":
            return self.answer(404, {"error": "POST /score"})
        try:
            payment = json.loads(body)
        except ValueError as error:
            return self.answer(400, {"error": f"this is no payment: {error}"})
        try:
            return self.answer(200, self.server.scorer.score(payment))
        except NoPayment as error:
            return self.answer(400, {"error": f"this is no payment: {error}"})
        except Unanswered as error:
            # There is no score without all features: who asks decides what to do with the payment.
            return self.answer(422, {"error": str(error)})
        except grpc.RpcError as error:
            code = error.code()
            status = 400 if code == grpc.StatusCode.INVALID_ARGUMENT else 503
            return self.answer(status, {"error": error.details(), "code": code.name})
        except Exception as error:
            # The model and its features do not fit, which is not the caller's fault.
            return self.answer(500, {"error": f"{type(error).__name__}: {error}"})

    def do_GET(self):
        self.answer(200, {"retries": self.server.scorer.lookups.retries})

    def answer(self, status, message):
        text = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format, *arguments):
        """Nothing is told of requests that went as they should."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the directory that train.py wrote")
    parser.add_argument("--server", default="http://127.0.0.1:7411", help="the server of features")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="where to answer [127.0.0.1:8080]")
    parser.add_argument("--deadline", type=float, default=0.5, help="seconds for a lookup, retries included [0.5]")
    arguments = parser.parse_args()
    scorer = Scorer(arguments.model, arguments.server, arguments.deadline)
    host, port = arguments.listen.rsplit(":", 1)
    service = ThreadingHTTPServer((host, int(port)), Handler)
    service.scorer = scorer
    print(json.dumps({"listening": f"http://{host}:{service.server_port}"}), flush=True)
    service.serve_forever()


if __name__ == "__main__":
    main()
