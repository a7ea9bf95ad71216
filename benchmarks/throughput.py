"""Measure how fast scenes are drawn, described, moved and encoded and agents trained, compared with
other ways to do it.

    python benchmarks/throughput.py --preset quick

The two rates of every ratio are measured one after the other in the same run, in seconds of this
process's own CPU time, on one thread, so that the ratio depends little on the machine and its load.
Absolute rates come with the name of the processor and their range. The command also measures where
PPO spends its time and how much memory scenes take, and draws the time of a scene against the
number of scenes.
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything that reads it
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")

    from benchmarks.harness.benchmark import main
    from benchmarks.speed.throughput import THROUGHPUT

    main(THROUGHPUT, __doc__)
