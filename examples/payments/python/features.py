"""What the model reads: one list, whose order is the model's."""

import math
import struct

# The views are looked up at once. Rows of `card_spend` and `card_profile` count the payment that is being scored;
# `payment_risk` is computed on demand from them and from the request.
VIEWS = ("card_spend", "card_profile", "payment_risk")

FEATURES = (
    "card_spend.payments_5m",
    "card_spend.payments_1h",
    "card_spend.payments_1d",
    "card_spend.total_1h",
    "card_spend.amount_mean_1d",
    "card_spend.amount_deviation_1d",
    "card_spend.amount_max_1d",
    "card_spend.merchants_1d",
    "card_spend.share_declined_1d",
    "card_profile.hour_of_week",
    "card_profile.log_amount",
    "card_profile.is_remote",
    "card_profile.was_declined",
    "payment_risk.times_usual",
    "payment_risk.deviations",
    "payment_risk.velocity",
    "payment_risk.moved",
)


def number(value):
    """A feature as the model takes it. A null is a NaN, which its trees send their own way; nothing is filled in."""
    return math.nan if value is None else float(value)


def bits(value):
    """All 64 bits of a number, so that equal means equal: NaN to NaN, and 0.0 not to -0.0."""
    return struct.pack(">d", value).hex()


def probability(raw):
    """The score of a tree ensemble's raw sum, by the same scalar arithmetic for one row and for many."""
    return 1.0 / (1.0 + math.exp(-raw)) if raw >= 0 else math.exp(raw) / (1.0 + math.exp(raw))


def scores(model, rows):
    """The scores of rows whose columns are in the model's order."""
    return [probability(float(raw)) for raw in model.decision_function(rows)]
