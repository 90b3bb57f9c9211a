"""Looks features up: one request for all views, with a deadline and retries.

The modules below `trifold` are generated from proto/trifold/online/v1/online.proto; see README.md.
"""

import random
import threading
import time
from datetime import datetime, timedelta, timezone

import grpc
from google.rpc import error_details_pb2, status_pb2
from trifold.online.v1 import online_pb2 as api
from trifold.online.v1 import online_pb2_grpc

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# Nobody is there, or there is too much to do: the same question may be answered a moment later.
RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
BACKOFF_SECONDS = (0.05, 1.0)

# A server that was restarted is found again as soon as the retries look for it, and not after gRPC's own pauses.
CHANNEL = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))

# The column of each type: the message's field, and how a value is put into it.
COLUMNS = {
    "bool": ("bools", api.Bools, bool, False),
    "int64": ("int64s", api.Int64s, int, 0),
    "float64": ("float64s", api.Float64s, float, 0.0),
    "utf8": ("texts", api.Texts, str, ""),
    "timestamp": ("timestamps", api.Int64s, lambda value: micros(value), 0),
}


class NoPayment(Exception):
    """What is to be scored is no payment."""


class Unanswered(Exception):
    """A row without a value, which is no fault of the connection: its reason is the server's."""


def micros(text):
    """Microseconds since 1970 of a time in RFC 3339."""
    time_of = datetime.fromisoformat(text)
    if time_of.tzinfo is None:
        raise ValueError(f"{text} has no time zone: write it as in 2026-01-01T12:00:00Z")
    return (time_of - EPOCH) // timedelta(microseconds=1)


def column(field, value):
    """A column of one row. The value of a null stands for nothing."""
    name, message, convert, nothing = COLUMNS[field.type]
    filled = message(values=[nothing if value is None else convert(value)])
    return api.Column(name=field.name, null_rows=[0] if value is None else [], **{name: filled})


def cell(values, row):
    """One value of a column, or None."""
    if row in values.null_rows:
        return None
    return getattr(values, values.WhichOneof("values")).values[row]


def asked_to_wait(error):
    """For how many seconds the server asks its callers to wait, if it says so."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    return info.retry_delay.ToTimedelta().total_seconds()
    return None


class Lookups:
    """A connection to the server, shared by threads."""

    def __init__(self, address, features, deadline):
        self.features, self.deadline = list(features), deadline
        self.channel = grpc.insecure_channel(address.removeprefix("http://"), options=CHANNEL)
        self.stub = online_pb2_grpc.OnlineServiceStub(self.channel)
        self.lock, self.retries = threading.Lock(), 0
        self.views = self.asked_views()

    def asked_views(self):
        """The views in force that the features are of. Whatever the model reads must be there, or nothing starts."""
        listed = self.call(self.stub.ListViews, api.ListViewsRequest()).views
        known = {view.name: view for view in listed}
        for feature in self.features:
            view, name = feature.split(".")
            if view not in known or name not in {field.name for field in known[view].features}:
                raise SystemExit(f"the model reads {feature}, and no view in force has it: release one that does")
        return {name: known[name] for name in dict.fromkeys(feature.split(".")[0] for feature in self.features)}

    def call(self, method, request):
        """Calls with what is left of the deadline, and again while it makes sense."""
        end, backoff = time.monotonic() + self.deadline, BACKOFF_SECONDS[0]
        while True:
            try:
                return method(request, timeout=max(end - time.monotonic(), 0.001))
            except grpc.RpcError as error:
                if error.code() not in RETRIED:
                    raise
                # Drawn anew for each caller, so that all those who were refused together do not come back together.
                pause = asked_to_wait(error)
                pause = backoff * random.uniform(0.5, 1.0) if pause is None else pause
                if time.monotonic() + pause >= end:
                    raise
                with self.lock:
                    self.retries += 1
                time.sleep(pause)
                backoff = min(2 * backoff, BACKOFF_SECONDS[1])

    def request(self, payment, as_of):
        """The question about one payment, which counts as if it had arrived at the time that is asked for."""
        request = api.GetFeaturesRequest(features=self.features, row_digests=True)
        fields = {field.name: field for view in self.views.values() for field in [*view.entity, *view.request]}
        request.entities.extend(column(field, payment.get(name)) for name, field in fields.items())
        if as_of is not None:
            request.as_of_micros = micros(as_of)
        for view in self.views.values():
            if view.event:
                keys = {field.name for field in view.entity}
                own = [field for field in view.event if field.name not in keys]
                # The time and the id are an event's own, whether or not the view reads them.
                names = {field.name for field in own}
                own += [api.Field(name="event_time", type="timestamp")] if "event_time" not in names else []
                own += [api.Field(name="event_id", type="utf8")] if "event_id" not in names else []
                columns = [column(field, payment.get(field.name)) for field in own]
                request.in_hand.append(api.InHandEvents(view=view.name, columns=columns))
        return request

    def look_up(self, payment, as_of=None):
        """The features by name, and for each view what answered. A row without a value is an error with its reason."""
        try:
            request = self.request(payment, as_of)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise NoPayment(error) from error
        answer = self.call(self.stub.GetFeatures, request)
        found, about = {}, {}
        for view in answer.views:
            if view.statuses[0] != api.ROW_STATUS_VALUE:
                status = api.RowStatus.Name(view.statuses[0]).removeprefix("ROW_STATUS_").lower()
                reason = "; ".join(problem.message for problem in view.problems)
                raise Unanswered(f"{view.view} is {status}: {reason}" if reason else f"{view.view} is {status}")
            found |= {f"{view.view}.{values.name}": cell(values, 0) for values in view.columns}
            digest = view.component_digest.hex()
            about[view.view] = {"version": view.version, "component": digest, "digest": view.row_digests[0].hex()}
            # The store could not be asked, and the server answered from what it had kept for so long.
            about[view.view]["stale_ms"] = max((row.age_ms for row in view.position.stale), default=0)
        return found, about, answer.as_of_micros[0]
