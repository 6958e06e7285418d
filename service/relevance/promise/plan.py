"""Where audit labels help most, and how many it may take.
Forecasts: a wrong one costs labels, never the promise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.relevance.promise.martingale import Evidence, Numbers, Wholes, growth
from service.relevance.promise.prices import LABEL_PRICE, Worth
from service.relevance.promise.promise import Chain, Spared

# of the draws, above the cut: few relevant rows found there say enough (chosen by simulation)
ABOVE = 0.15
EVEN = 0.05  # of the draws, wherever they fall: no stratum is left without a chance
# a stratum is expected to be at least so relevant when draws above the cut are shared out
LEAST_RATE = 0.003
MIXED = 1.0  # what a mixture of stakes costs against the best one, in logs of the capital, about
SAFE_SHARE = 0.7  # of a budget is planned for: a forecast of labels is an average
CHECK = 0.05  # of the draws, where next to nothing is assumed to lie
# of the draws, shared out down to the strictest cut that may be true: later labels tighten on
STRICTEST = 0.2
PRIOR_LABELS = 5.0  # what a forecast rate weighs against audit answers


@dataclass(frozen=True, slots=True)
class Option:
    """One cut that could be aimed for."""

    cut: int
    kept: int  # rows
    dropped: int
    recall: float  # forecast
    labels: float  # forecast; infinite: not to be had


def shares_for(sizes: Wholes, rates: Numbers, cut: int, boldest: int | None = None) -> Numbers:
    """float64, (strata,), sum 1: the chance of each stratum a draw,
    planned for a cut, or for all from one to another.

    Below the cut in proportion to size, since the largest size over share bounds what can be
    staked; above it more where relevant rows are expected, each of which speaks for the claim.

    For several cuts, a row between two of them is drawn with a chance proportional to 1 / (rows
    below the cut under which it first comes to lie): each cut then takes the same multiple of the
    labels that it would take if all were planned for it alone, 1 + log(rows below the boldest /
    rows below the most generous), about.

    :param boldest: the strictest of the cuts, at most `cut`; None: that cut alone.
    """
    boldest = cut if boldest is None else boldest
    strata = np.arange(len(sizes))
    rows = sizes.sum()
    below = rows - np.cumsum(sizes) + sizes  # of the cut under which a stratum first comes to lie
    below = np.minimum(below, below[min(boldest, len(sizes) - 1)])
    least = below[min(cut, len(sizes) - 1)]
    under = np.where(strata < boldest, 0.0, sizes / np.maximum(np.maximum(below, least), 1))
    above = np.where(strata < boldest, sizes * np.sqrt(np.maximum(rates, LEAST_RATE)), 0.0)
    parts = [(ABOVE, above), (1 - ABOVE, under)]
    wanted = sum(weight * part / part.sum() for weight, part in parts if part.sum())
    shares = (1 - EVEN) * wanted / np.sum(wanted) + EVEN * sizes / rows
    return np.asarray(shares / shares.sum())


def options(sizes: Wholes, rates: Numbers, chain: Chain) -> list[Option]:
    """Each cut of a chain with what it may cost, if the rates are about right."""
    found = []
    kept = np.concatenate([[0], np.cumsum(sizes)])
    relevant = np.concatenate([[0], np.cumsum(sizes * rates)])
    first = chain.first_of_target()
    for number in range(first, len(chain.claims)):
        cut = chain.cuts[number]
        shares = _shares_alone(sizes, rates, chain, cut)
        one = chain.claims.one(number)
        rate = float(growth(sizes, shares, rates, one, one.constants)[0])
        labels = labels_for(-np.log(chain.delta) + MIXED, rate)
        recall = float(relevant[cut] / relevant[-1]) if relevant[-1] else 1.0
        found.append(Option(cut, int(kept[cut]), int(kept[-1] - kept[cut]), recall, labels))
    return found


def options_of_all(sizes: Wholes, rates: Numbers, wanted: Sequence[Chain]) -> list[Option]:
    """As `options` of the first chain, with the labels that show all that is wanted at that cut,
    the draws shared out for all of it.

    :param wanted: at least one.
    """
    found = options(sizes, rates, wanted[0])
    if len(wanted) == 1:
        return found
    shares = [
        np.mean([_shares_alone(sizes, rates, chain, each.cut) for chain in wanted], axis=0)
        for each in found
    ]
    return [
        replace(each, labels=max(under(each, sizes, by, rates, chain).labels for chain in wanted))
        for each, by in zip(found, shares, strict=True)
    ]


def _shares_alone(sizes: Wholes, rates: Numbers, chain: Chain, cut: int) -> Numbers:
    """float64, (strata,), sum 1: for one cut of one chain."""
    return shares_for(sizes, rates, cut) if chain.kind == "recall" else _above_only(sizes, cut)


def _above_only(sizes: Wholes, cut: int) -> Numbers:
    even = sizes / sizes.sum()
    above = np.where(np.arange(len(sizes)) < cut, sizes, 0) / max(int(sizes[:cut].sum()), 1)
    return np.asarray((1 - EVEN) * above + EVEN * even)


def by_work(option: Option) -> float:
    """What an option costs where no prices are said: labels, and annotation of all that is kept."""
    return LABEL_PRICE * option.labels + option.kept


def by_prices(sizes: Wholes, rates: Numbers, worth: Worth | None) -> Callable[[Option], float]:
    """What an option costs, in annotations; None: no prices were said."""
    if worth is None:
        return by_work
    return lambda option: worth.line(sizes, rates, option.cut, option.labels)


def best(
    found: Sequence[Option],
    rows: int,
    budget: int | None = None,
    cost: Callable[[Option], float] = by_work,
) -> Option | None:
    """The cheapest option; None: none is to be had.

    :param budget: labels that may be spent; then the strictest cut that they are likely to settle,
        whatever it costs.
    """
    if budget is not None:
        affordable = [option for option in found if option.labels <= SAFE_SHARE * budget]
        return min(affordable, key=lambda o: o.kept, default=None)
    possible = [option for option in found if option.labels < rows]
    return min(possible, key=lambda o: (cost(o), o.cut), default=None)


def shares_of(
    sizes: Wholes,
    rates: Numbers,
    wanted: Sequence[Chain],
    budget: int | None = None,
    spared: Spared | None = None,
    worth: Worth | None = None,
) -> tuple[Numbers, Option | None]:
    """The shares for all that is promised, and the option aimed for by the first chain.

    :param worth: what things cost, where a person said so; see `prices.py`.
    :param spared: strata that get but a few draws, enough for a check.
    """
    if spared is not None:
        here = np.arange(len(sizes)) < spared.line
        head, option = shares_of(np.where(here, sizes, 0), rates, wanted, budget, worth=worth)
        below = np.where(here, 0, sizes) / max(int(sizes[~here].sum()), 1)
        return np.asarray((1 - CHECK) * head + CHECK * below), option
    rows = int(sizes.sum())
    every, aims = [], []
    for chain in wanted:
        found = options(sizes, rates, chain)
        aim = best(found, rows, budget, by_prices(sizes, rates, worth))
        option = aim or min(found, key=lambda o: o.labels, default=None)
        cut = option.cut if option else len(sizes)
        if chain.kind == "recall":
            hopeful = _hopeful(sizes, rates)
            cheap = by_prices(sizes, hopeful, worth)
            hoped = best(options(sizes, hopeful, chain), rows, budget, cheap)
            true = [each for each in found if each.recall >= chain.levels[-1]]
            strictest = min(true, key=lambda o: o.kept, default=found[0]).cut
            bold = min(hoped.cut if hoped else cut, cut)
            shares = [shares_for(sizes, rates, cut, each) for each in (bold, min(strictest, bold))]
            every.append((1 - STRICTEST) * shares[0] + STRICTEST * shares[1])
        else:
            every.append(_above_only(sizes, cut))
        aims.append(aim)
    if not every:
        return np.asarray(sizes / max(rows, 1)), None
    shared = np.mean(every, axis=0)
    shared = np.asarray(shared / shared.sum())
    return shared, None if aims[0] is None else under(aims[0], sizes, shared, rates, wanted[0])


def _hopeful(sizes: Wholes, rates: Numbers) -> Numbers:
    """The rates if next to nothing relevant lies where less than the average is expected.

    A calibration taught with few answers is flatter than the truth more often than steeper, and
    what it expects far down decides which cut seems affordable.
    """
    average = float((sizes * rates).sum() / sizes.sum())
    return np.where(rates < average * (1 - 1e-9), 1e-6, rates)


def under(option: Option, sizes: Wholes, shares: Numbers, rates: Numbers, chain: Chain) -> Option:
    """The option with its labels as forecast for these shares, which serve other cuts too."""
    one = chain.claims.one(chain.cuts.index(option.cut, chain.first_of_target()))
    rate = float(growth(sizes, shares, rates, one, one.constants)[0])
    return replace(option, labels=labels_for(-np.log(chain.delta) + MIXED, rate))


def learned(rates: Numbers, evidence: Evidence) -> Numbers:
    """float64, (strata,): the forecast rates, corrected by what the audit found."""
    found = (PRIOR_LABELS * rates + evidence.relevant) / (PRIOR_LABELS + evidence.drawn)
    return np.clip(found, 1e-6, 1 - 1e-6)


def missing(
    sizes: Wholes,
    shares: Numbers,
    rates: Numbers,
    chain: Chain,
    evidence: Evidence,
    aim: int | None,
    level: float | None = None,
) -> int | None:
    """About how many more labels until the chain holds at the cut aimed for;
    0: it holds; None: no number within the population is likely to do.

    :param rates: (strata,), forecast before the audit.
    :param level: that is enough, where it is less than the target; then at the first cut.
    """
    first = chain.first_of_target()
    if level is not None and level < chain.levels[-1]:
        last = chain.first_of(level)
    else:
        last = chain.cuts.index(aim, first) if aim in chain.cuts[first:] else first
    needed = until(sizes, shares, rates, chain, evidence)[last]
    left = int((sizes - evidence.drawn).sum())
    if needed >= left:
        return None if needed == np.inf else left
    return int(np.ceil(needed))


def worthwhile(
    sizes: Wholes,
    shares: Numbers,
    rates: Numbers,
    chain: Chain,
    evidence: Evidence,
    worth: Worth | None = None,
) -> tuple[int, int]:
    """Where a recall chain holds: how many more labels pay,
    and how many more rows they would drop; (0, 0): none do.

    :param worth: what things cost, where a person said so; else as in `by_work`.
    """
    needed = until(sizes, shares, rates, chain, evidence)
    return paying(sizes, rates, chain, evidence, needed, worth)


def paying(
    sizes: Wholes,
    rates: Numbers,
    chain: Chain,
    evidence: Evidence,
    needed: Sequence[float],
    worth: Worth | None,
) -> tuple[int, int]:
    """As `worthwhile`.

    :param needed: (claims,), labels until each claim holds.
    """
    reached = chain.reached(evidence)
    kept = np.cumsum(sizes)
    now = int(kept[chain.cuts[reached - 1] - 1])
    label, saved = LABEL_PRICE, kept.astype(np.float64)
    if worth is not None:
        likely = learned(rates, evidence)
        label = worth.label
        saved = np.cumsum(sizes * (worth.kept(likely) - worth.miss * likely))
    at = chain.cuts[reached - 1] - 1
    gains = [
        (float(saved[at] - saved[chain.cuts[number] - 1]) - label * needed[number], number)
        for number in range(reached, len(chain.claims))
    ]
    gain, number = max(gains, default=(0.0, 0))
    if gain <= 0 or needed[number] >= (sizes - evidence.drawn).sum():
        return 0, 0
    return int(np.ceil(needed[number])), now - int(kept[chain.cuts[number] - 1])


def until(
    sizes: Wholes, shares: Numbers, rates: Numbers, chain: Chain, evidence: Evidence
) -> list[float]:
    """Forecast labels until each claim, and all before it, hold."""
    goal = -np.log(chain.delta)
    growths = growth(
        sizes - evidence.drawn, shares, learned(rates, evidence), chain.claims, evidence.known
    )
    needed, found = 0.0, []
    for best_so_far, now, rate in zip(evidence.best, evidence.now, growths, strict=True):
        if best_so_far < goal - 1e-12:
            # What a mixture costs is lost with the labels that are yet to come.
            needed = max(needed, labels_for((goal - now) * (1 + MIXED / goal), float(rate)))
        found.append(needed)
    return found


def labels_for(lacking: float, rate: float) -> float:
    """How many take the log of a capital so far, where it grows by `rate` a label."""
    if rate == np.inf:
        return 0.0
    return float(lacking / rate) if rate > 0 else np.inf
