"""What each feature adds to the logit of an impression: the logit minus the logit with that feature missing.

A missing id is out of vocabulary. Without the first history of a sequence there are no events; without a further field of a sequence its
events lack it. If a feature is also part of a cross, the cross changes with it. What a table of attributes has for an id stays when the id
is missing, and has a contribution of its own.

All of it is one batch: each impression as it is, then each impression without the first feature, and so on.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from din_trainer.features import TIMESTAMP, FeatureConfig
from din_trainer.kinds import MISSING, Cross, Tags
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.reading.parsed_examples import example_spec
from din_trainer.reading.raw_reader import Reader
from din_trainer.reading.raw_values import RawTags, RawValues
from din_trainer.reading.values_read import values_read


def contributions(
    examples: tf.Tensor, reader: Reader, features: FeatureConfig, with_events: bool, logit: Callable[[ModelInputs], tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Returns `contribution_FEATURE`, (B,) float32, for each feature.

    Args:
        examples: Serialised tf.Examples (B,).
        reader: Reads them.
        features: The features of the model.
        with_events: Whether the model reads histories.
        logit: The logits (B,) of a batch.
    """
    crosses = [placed.name for placed in features.placed if isinstance(placed.feature, Cross)]
    names = [p.name for p in values_read(features) if p.name != TIMESTAMP and (with_events or not p.sequence)] + crosses
    batches = len(names) + 1
    number = tf.repeat(tf.range(batches), tf.shape(examples)[0])
    hidden = {name: tf.equal(number, i) for i, name in enumerate(names, 1)}  # by feature: the impressions that lack it
    parsed = tf.io.parse_example(tf.tile(examples, [batches]), example_spec(features))
    for columns in features.aligned_columns.values() if with_events else ():
        history = parsed[columns[0].name]
        there = history.with_values(tf.logical_not(tf.gather(hidden[columns[0].name], history.value_rowids())))
        parsed[columns[0].name] = tf.ragged.boolean_mask(history, there)
    inputs = reader.of_raw(_without(reader.raw_of_parsed(parsed).raw, features, hidden))
    for name in crosses:
        inputs.ids[name] = tf.where(hidden[name], reader.missing_cross(name), inputs.ids[name])
    whole, *lacking = tf.unstack(tf.reshape(logit(inputs), [batches, -1]), batches)
    return {f"contribution_{name}": whole - x for name, x in zip(names, lacking, strict=True)}


def _without(raw: RawValues, features: FeatureConfig, hidden: Mapping[str, tf.Tensor]) -> RawValues:
    """The raw values without what is hidden."""
    values, tags = dict(raw.values), dict(raw.tags)
    for name, _, sequence, feature in values_read(features):
        if name not in hidden:
            continue
        missing = tf.gather(hidden[name], raw.rows[sequence]) if sequence else hidden[name]  # by slot
        if isinstance(feature, Tags):
            tags[name] = _tags_without(tags[name], missing)
        else:
            x = values[name]
            nothing = tf.constant("" if x.dtype == tf.string else float("nan") if x.dtype.is_floating else MISSING["int64"], x.dtype)
            values[name] = tf.where(tf.expand_dims(missing, 1) if len(x.shape) == 2 else missing, nothing, x)
    return raw._replace(values=values, tags=tags)


def _tags_without(tags: RawTags, missing: tf.Tensor) -> RawTags:
    there = tf.logical_not(tf.gather(missing, tags.slots))
    return RawTags(*(x if x is None else tf.boolean_mask(x, there) for x in tags))
