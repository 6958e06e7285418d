"""How a filter and its copies share one chance of error, in one lake and in many
that know nothing of each other.

A promise of confidence C may be false with the chance delta = 1 - C: of everything that was ever
promised for one wish, however often and wherever it was audited. So the chance is spent like money.
All copies of a filter in one lake are a *branch*, and spend from one purse. What a branch with a
purse of r may do:

- *Begin an audit.* It takes 0.8 r, and 0.2 r are left.
- *Go into another lake.* The g-th copy that leaves a branch is the first of a new branch, whose
  purse is 1 / (g + 1) of r; g / (g + 1) of r are left. So after g copies 1 / (g + 1) of what the
  branch began with is left, and the g-th has 1 / g - 1 / (g + 1) of it: a half, a sixth, a twelfth.
  (Halves all the way would leave the seventh copy 1 / 128 instead of 1 / 56, and the branch
  1 / 128 instead of 1 / 8.) Copy and audit multiply what is left, so their order does not matter
  for it, and two numbers on disk say all.

Either takes from the purse no more than lies in it, so what all audits have taken and what lies in
all purses adds up to delta, whatever is done and in whatever order. What was taken is on the disk
of the branch's own lake before an audit has drawn or a copy is there; a crash in between loses a
part, and gives none twice. Each audit's promise is false with at most the chance that it took,
given all that came before it, since its draws are its own and what it takes was fixed before them;
so of all promises of all branches one or more is false with at most the chance delta (the sum of
these chances, over audits that may be chosen by looking at those before). No lake asks another.

An audit that follows the lake (`follow.py`) takes nothing more: each promise of its is a statement
about the images of one snapshot, false with at most the chance that the audit took. Not all of them
together: of what is promised after one `sync` and the next, more than one chance is spent.

What it cannot see: a lake's folder that somebody copies as a whole, or puts back from a backup, has
one purse twice. A filter that is made anew under another name is another wish, with a purse of its
own. Copies that were taken into other lakes before parts were written down each count as the whole.
"""

from __future__ import annotations

from indexer.errors import BadRequest
from service.relevance.definition import Part

MOST = 2**53  # what a file's whole numbers go up to


def one_in_left(part: Part) -> int:
    """The branch's audits share one in so many of the whole chance of error from now on.

    :param part: with the copies that were given to other lakes so far.
    """
    return part.one_in * (part.given + 1)


def given_away(part: Part, branch: str) -> Part:
    """What the next copy into another lake takes along, as the first of a branch of this name.

    :raises BadRequest: if so little is left that it is not told from nothing.
    """
    number = part.given + 1
    taken = Part(branch, part.one_in * number * (number + 1))
    if taken.one_in >= MOST:
        raise BadRequest(
            "into",
            "copies into other lakes have taken next to all of this filter's chance of error; make it anew there",
        )
    return taken
