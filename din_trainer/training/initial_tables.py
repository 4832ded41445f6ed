"""What the embedding tables start with: their sizes and counts from Transform's vocabularies, and embeddings from files."""

import logging

import numpy as np
import tensorflow_transform as tft

from din_trainer.kinds import Vocabulary
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.models.ranking_model import RankingModel
from din_trainer.transform.analysis import counts_name
from din_trainer.transform.embedding_files import read_embeddings
from din_trainer.transform.preprocessing import table_size


def vocabulary_sizes(vocabularies: dict[str, Vocabulary], transform_output: tft.TFTransformOutput) -> dict[str, int]:
    """Returns the number of embedding rows by vocabulary name."""
    return {name: table_size(v, transform_output.vocabulary_size_by_name(name)) for name, v in vocabularies.items()}


def read_counts(name: str, size: int, transform_output: tft.TFTransformOutput) -> np.ndarray:
    """Reads how often the value of each row occurs in train/, as a candidate or in histories: (size,). 0: the row is not one value."""
    lines = transform_output.vocabulary_by_name(counts_name(name))
    counts = np.zeros(size, np.float32)
    counts[1 : 1 + len(lines)] = [int(line.split(b" ", 1)[0]) for line in lines]
    return counts


def _read_start(table: EmbeddingTable, name: str, vocabulary: Vocabulary, known: list[bytes]) -> set[int]:
    """Sets the rows of the values in a file to its vectors, and returns these rows. The other rows stay as they are."""
    ids, vectors = read_embeddings(vocabulary.embeddings, vocabulary.dim)
    row = {value: number for number, value in enumerate(known, 1)}
    found = [(row[value], vector) for value, vector in zip(ids, vectors, strict=True) if value in row]
    if not found:
        raise ValueError(f"{vocabulary.embeddings}: none of its ids occurs in train/ as {name!r}: give raw ids")
    rows, values = zip(*found, strict=True)
    table.set_rows(np.array(rows), np.array(values))
    logging.info("%s: %d of %d rows start from %s", name, len(rows), table.size, vocabulary.embeddings)
    return set(rows)


def initialise_tables(model: RankingModel, transform_output: tft.TFTransformOutput) -> dict[str, set[int]]:
    """Gives a model's tables the counts that regularisation needs, and the embeddings of the configured files.

    Returns:
        By vocabulary, the rows that come from a file.

    Raises:
        ValueError: As `read_embeddings`; or no id of a file is known.
    """
    from_files: dict[str, set[int]] = {}
    for name, vocabulary in model.din_config.features.vocabularies.items():
        for table in model.tables_of(name):
            if table.regularization:
                table.set_counts(read_counts(name, table.size, transform_output))
        if vocabulary.embeddings and name in model.tables:
            known = transform_output.vocabulary_by_name(name)
            from_files[name] = _read_start(model.tables[name], name, vocabulary, known)
    return from_files
