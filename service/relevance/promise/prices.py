"""What labels, annotations and misses cost, and which line between kept and dropped images is then
the cheapest. Forecasts: no promise rests on a price.

Counted is what is still to be spent on the images that nobody has answered. In units of an
annotation, with L the price of a label and M that of a missed relevant image, n[s] images and the
expected share p[s] of relevant ones in stratum s, best scores first, the line below the first k
strata costs

    L * labels(k) + sum over s < k of n[s] * min(1, L + p[s]) + M * sum over s >= k of n[s] * p[s].

A kept image is annotated unseen, which costs 1; or somebody looks first, and it is annotated where
it is relevant, L + p[s]. So images are kept unseen from p[s] = 1 - L on. Beside the lines there are
always

    label everything:     sum over all s of n[s] * (L + p[s])
    annotate everything:  sum over all s of n[s],

which need no audit and miss nothing. labels(k) is the forecast of `plan.py`. Left out, since it is
small: an audit label of a kept image saves the look at it, and a relevant image that the audit
finds below the line is annotated.

Source: worked out here; the second sum is the rule of two actions with known costs (Chow, "On
optimum recognition error and reject tradeoff", IEEE Transactions on Information Theory 16, 1970).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.errors import BadRequest
from service.relevance.as_json import AsJson
from service.relevance.promise.martingale import Numbers, Wholes

MAX_CURRENCY_CHARS = 16
HIGHEST_PRICE = 1e9
IN_ANNOTATIONS = "annotations"  # the unit where no price is said
# of a yes or no, in units of an annotation, where no price is said
LABEL_PRICE = 0.5


@dataclass(frozen=True, slots=True)
class Prices(AsJson):
    """What things cost, in one currency.

    :raises BadRequest: if a price is not from 0 to 1e9, an annotation costs nothing, or the
        currency is over 16 characters, or not printable.
    """

    annotation: float = 1.0
    miss: float | None = None  # None: not said; misses are counted, and cost nothing
    label: float | None = None  # None: half an annotation
    currency: str = IN_ANNOTATIONS

    def __post_init__(self) -> None:
        fields = {"price": self.annotation, "miss_price": self.miss, "label_price": self.label}
        for field, price in fields.items():
            if price is not None and not 0 <= price <= HIGHEST_PRICE:
                raise BadRequest(field, f"{price:g} is not a price from 0 to {HIGHEST_PRICE:g}")
        if not self.annotation:
            raise BadRequest(
                "price", "an annotation that costs nothing leaves nothing to save; leave it out"
            )
        if len(self.currency) > MAX_CURRENCY_CHARS or not self.currency.isprintable():
            raise BadRequest(
                "currency",
                f"{self.currency!r} is not at most {MAX_CURRENCY_CHARS} printable characters",
            )

    @classmethod
    def of(
        cls,
        price: float | None = None,
        miss_price: float | None = None,
        label_price: float | None = None,
        currency: str | None = None,
    ) -> Prices:
        """As a person says them; without a price all is counted in annotations."""
        unit = (IN_ANNOTATIONS if price is None else "") if currency is None else currency.strip()
        return cls(1.0 if price is None else price, miss_price, label_price, unit)

    @classmethod
    def said(
        cls,
        price: float | None = None,
        miss_price: float | None = None,
        label_price: float | None = None,
        currency: str | None = None,
    ) -> Prices | None:
        """As `of`; None where no price is said, so that none decides anything."""
        if price is None and miss_price is None and label_price is None:
            return None
        return cls.of(price, miss_price, label_price, currency)

    @property
    def look(self) -> float:
        """Of a label, and of a look at an image that is asked about."""
        return LABEL_PRICE * self.annotation if self.label is None else self.label

    @property
    def worth(self) -> Worth:
        """The same, in annotations."""
        return Worth(self.look / self.annotation, (self.miss or 0.0) / self.annotation)

    def to_json(self) -> dict[str, Any]:
        return {
            "annotation": self.annotation,
            "label": self.look,
            "miss": self.miss,
            "currency": self.currency,
        }

    def __getitem__(self, name: str) -> Any:
        """A price by its name in JSON, as it counts."""
        return self.to_json()[name]


@dataclass(frozen=True, slots=True)
class Worth:
    """Prices in units of an annotation, each from 0."""

    label: float
    miss: float = 0.0

    @property
    def unseen_from(self) -> float:
        """The share of relevant images from which a kept one is annotated without a look."""
        return 1 - self.label

    def kept(self, rates: Numbers) -> Numbers:
        """float64, (strata,): what an image costs that is kept.

        :param rates: (strata,), in [0, 1].
        """
        return np.minimum(1.0, self.label + rates)

    def line(self, sizes: Wholes, rates: Numbers, cut: int, labels: float) -> float:
        """What the line below the first strata costs.

        :param sizes: (strata,), images; labels: that the audit takes.
        """
        below = float((sizes * rates)[cut:].sum())
        return (
            self.label * labels + float((sizes * self.kept(rates))[:cut].sum()) + self.miss * below
        )

    def looks(self, sizes: Wholes, rates: Numbers, cut: int) -> int:
        """How many of the images that a line keeps are looked at before they are annotated."""
        return int(sizes[:cut][rates[:cut] < self.unseen_from].sum())

    def label_everything(self, sizes: Wholes, rates: Numbers) -> float:
        return float((sizes * (self.label + rates)).sum())
