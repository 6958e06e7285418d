"""The verb `filter`: its actions,
each with its arguments and what it does in a module beside this one.
"""

from __future__ import annotations

import argparse
import sys

from indexer.errors import FilterExists
from service.cli.filters.deciding import (
    add_apply,
    add_decide,
    add_estimate,
    add_offers,
    add_restore,
)
from service.cli.filters.handing_over import add_export, add_report, add_samples
from service.cli.filters.labelling import add_label, add_next, add_undo
from service.cli.filters.making import (
    add_copy,
    add_delete,
    add_diff,
    add_list,
    add_mend,
    add_new,
    add_show,
)
from service.cli.filters.planning import add_plan
from service.cli.filters.team import add_conflicts, add_settle, add_team
from service.cli.parts import Verbs, add_trust_model, add_verb

_TELLS = """from a prompt to a promise:
  1. new      what to keep, what to drop, and how much may be lost
  2. next     images to label, and label: teach it, a few dozen answers
  3. plan     what each line between kept and dropped would cost in labels
  4. next --purpose audit   images drawn at random; label them, too
  5. apply    decides every image, with the promise; or refuses, exits with 3, and says what is missing
  6. export   what was kept, as paths, tables, or for an annotation tool; label takes its answers back
  7. decide   images that are not in the lake, without a promise
  8. samples  what was dropped, at random, to look at; restore brings back what should not have been
  9. report   what came of it, for those who pay"""


def add_filter(verbs: Verbs) -> None:
    """Add `filter` and its actions."""
    parser = add_verb(verbs, "filter", "decide which images are worth annotating, with a promise that holds", [
        'lakesift filter new my.lake hospital --keep "a hospital room" --drop "an office" --recall 0.95',
        "lakesift filter next my.lake hospital -n 20 --json",
    ])  # fmt: skip
    parser.set_defaults(run=_run)
    parser.epilog = f"{parser.epilog}\n\n{_TELLS}"
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    add_new(actions)
    add_next(actions)
    add_label(actions)
    add_undo(actions)
    add_plan(actions)
    add_offers(actions)
    add_estimate(actions)
    add_apply(actions)
    add_decide(actions)
    add_report(actions)
    add_team(actions)
    add_conflicts(actions)
    add_settle(actions)
    add_samples(actions)
    add_restore(actions)
    add_export(actions)
    add_list(actions)
    add_show(actions)
    add_diff(actions)
    add_copy(actions)
    add_delete(actions)
    add_mend(actions)
    for action in actions.choices.values():
        add_trust_model(action)


def _run(arguments: argparse.Namespace) -> int:
    """Run one action; returns the exit code."""
    from service.lake import Lake
    from service.relevance import Filters

    with Lake.open(arguments.lake, trust_model=bool(arguments.trust_model)) as lake:
        for problem in lake.problems:
            print(f"warning: {problem}", file=sys.stderr)
        try:
            code: int = arguments.act(Filters(lake), arguments)
        except FilterExists as error:
            where = getattr(arguments, "into", None) or arguments.lake  # a copy may go elsewhere
            raise FilterExists(
                error.name,
                f"choose another name, or delete that one: lakesift filter delete {where} {error.name}",
            ) from None
        return code
