"""Exports DeepCTR's DIN, with random weights, as a SavedModel with the `save` of the legacy Keras that it needs. It does no lookups.

Arguments: the folder of the SavedModel, the length of the histories, and the number of ids of each feature as JSON. Ids begin at 1.
"""

import json
import sys

from deepctr_din import make_din

if __name__ == "__main__":
    make_din(json.loads(sys.argv[3]), ["item", "category"], int(sys.argv[2])).save(sys.argv[1], save_format="tf")
