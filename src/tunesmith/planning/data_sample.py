"""What a sample of the data tells: how many rows there are, of what kind, how long, and how much of them is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from tunesmith.data.encoding import Encoder, encode_many
from tunesmith.data.sampling import sample
from tunesmith.data.token_rows import EncodedRow
from tunesmith.spec.errors import BadValue, NothingTrained, NoUsableRow, RowFault
from tunesmith.spec.examples import KINDS
from tunesmith.spec.job import DatasetRef
from tunesmith.spec.plan import DataFacts

SAMPLED: Final = 2000
"""Rows looked at: enough for the percentiles below to stand within a few percent, and read in about a second."""
PEEKED: Final = 64
"""Rows looked at to see what kinds of example there are."""
PERCENTILES: Final = (50, 95, 99)


def kinds_of(datasets: Sequence[DatasetRef]) -> dict[str, int]:
    """Return the kinds of example in a few rows, before it is known what will read them; none where none is usable.

    Raises:
        DataError: the data cannot be found.
    """
    training = [dataset for dataset in datasets if not (dataset.validation or dataset.test)]
    return dict(Counter(KINDS[type(example)] for example in sample(training, PEEKED).examples))


def data_facts(datasets: Sequence[DatasetRef], encoder: Encoder) -> DataFacts:
    """Look at a sample of the training data (data sets for validation and for the test are left out).

    Raises:
        DataError: the data cannot be found, or no row of the sample can be used or trained.
    """
    training = [dataset for dataset in datasets if not (dataset.validation or dataset.test)]
    if not training:
        raise BadValue("datasets", [dataset.uri for dataset in datasets], "a list with data to train on")
    where = ", ".join(dataset.uri for dataset in training)
    found = sample(training, getattr(encoder, "sampled", SAMPLED))
    if found.misnamed and found.whole and len(training) == len(datasets):
        raise found.misnamed
    results = encode_many(found.examples, encoder)
    faults = [*found.faults, *(result for result in results if isinstance(result, RowFault))]
    rows = [row for result in results if not isinstance(result, RowFault) for row in result]
    both = list(zip(found.examples, results, strict=True))
    usable = sum(not isinstance(result, RowFault) for result in results)
    if not usable:
        raise NoUsableRow(where, found.total_rows, faults[0].message if faults else "")
    _refuse_untrained(rows, where)
    lengths = np.array([len(row.ids) for row in rows])
    return DataFacts(
        rows=max(1, round(found.total_rows * usable / (usable + len(faults)))),
        exact=found.exact and not faults,
        sampled=usable + len(faults),
        formats=found.formats,
        kinds=dict(Counter(KINDS[type(example)] for example, result in both if not isinstance(result, RowFault))),
        lengths={
            **{f"p{share}": int(np.percentile(lengths, share, method="higher")) for share in PERCENTILES},
            "max": int(lengths.max()),
        },
        mean_length=float(lengths.mean()),
        quantiles=[int(length) for length in np.percentile(lengths, range(101), method="nearest")],
        trained_share=sum(sum(row.mask) for row in rows) / int(lengths.sum()),
        sequences_per_row=len(rows) / usable,
        faults=len(faults),
        own_validation="validation" in found.sides,
        own_test="test" in found.sides,
        misnamed=found.misnamed.column if found.misnamed else None,
    )


def _refuse_untrained(rows: Sequence[EncodedRow], where: str) -> None:
    if not any(any(row.mask) for row in rows):
        raise NothingTrained(where, "no row of a sample has a turn of the assistant, or any other text to learn")
