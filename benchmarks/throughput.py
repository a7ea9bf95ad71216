"""How fast scenes are drawn, described, moved and encoded, and agents trained, beside other ways to
do it.

    python benchmarks/throughput.py --preset quick

Every ratio is of two rates measured one after the other in the same run, in seconds of this
process's own CPU time, on one thread, so that it changes little with the machine and with what else
it does. Absolute rates are given with the name of the processor and their spread. Also measures
where PPO spends its time and what memory scenes take, and draws how the time of a scene falls with
their number.
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
