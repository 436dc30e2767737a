"""How fast orch is: one program for each figure, each beside a floor that is measured in the same run.

    .venv/bin/python -m bench.start --help    one program by itself; so for each module here with a `measure`
    tools/bench                               all of them; writes bench/RESULTS.md

Machines are noisy, so that what counts is the ratio, or the difference, to the floor; both are measured in
turns. Nothing here passes or fails: the figures are for people.
"""
