"""Odd one out, the task of the papers: three items, of which two share an attribute and one differs
in it.

    python benchmarks/odd_one_out.py

The models of `translation.py`, at one number of matched scenes. A judge reads three workspace
vectors and says which is odd: it projects each by one learned matrix and picks the one that is
least like the others. It learns from items of one modality ("image" or "attributes") and is tested
on triplets of each modality, and on mixed ones, in which every item is shown in a modality of its
own. Chance is one in three. Triplets come from held-out scenes; all other attributes of the three
differ at random.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.harness.benchmark import main
    from benchmarks.pairs.odd_one_out import ODD_ONE_OUT

    main(ODD_ONE_OUT, __doc__)
