"""Find the odd one out, as in the papers: of three items, two share an attribute and one differs in
it.

    python benchmarks/odd_one_out.py

Compares the models of `translation.py` at one number of matched scenes. A judge reads three
workspace vectors, projects each by one learned matrix and picks the one that is least like the
others. It learns from items of one modality ("image" or "attributes") and is tested
on triplets of each modality, and on mixed ones, whose items do not all come in the same modality.
Chance is one in three. Triplets come from held-out scenes; all other attributes of the three
differ at random.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.harness.benchmark import main
    from benchmarks.pairs.odd_one_out import ODD_ONE_OUT

    main(ODD_ONE_OUT, __doc__)
