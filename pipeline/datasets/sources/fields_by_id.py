"""Fields of items or of users in memory, by their ids."""

import numpy as np
import pandas as pd
import pyarrow as pa


class FieldsById:
    """The fields of each id; the first row of an id counts.

    Args:
        ids: (N,) int64, or objects that are bytes.
        fields: N rows.
    """

    def __init__(self, ids: np.ndarray, fields: pa.Table):
        index = pd.Index(ids)
        is_first = ~index.duplicated()
        self._index = index[is_first]
        self._fields = fields.filter(pa.array(is_first)).combine_chunks()

    def fields_of(self, ids: pa.Array) -> dict[str, pa.Array]:
        """Returns the fields of some ids by name; null where an id is not known."""
        places = self._index.get_indexer(ids.to_numpy(zero_copy_only=False))
        found = self._fields.take(pa.array(places, mask=places < 0))
        return {name: found[name].combine_chunks() for name in found.column_names}
