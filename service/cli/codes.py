"""The command's exit codes, and how many problems it names before it counts the rest."""

DONE, FAILED, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130
PROBLEMS_SHOWN = 10
