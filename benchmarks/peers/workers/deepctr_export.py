"""DeepCTR's DIN as a SavedModel, by the `save` of the legacy Keras that it needs. Ids are integers from 1 already: it looks nothing up.

Called with the folder to write, the history's length and the number of ids of each feature as JSON. Its weights are random.
"""

import json
import sys

from deepctr_din import make_din

if __name__ == "__main__":
    make_din(json.loads(sys.argv[3]), ["item", "category"], int(sys.argv[2])).save(sys.argv[1], save_format="tf")
