"""The extractors for TFX's Evaluator: TFMA's own, except that impressions are grouped by user."""

import json
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.base.tfx_pins import unbatch_stage_name
from components.evaluation.tfma.group_by_user import group_by_user_extractor
from din_trainer.features import REQUEST_ID, USER_ID


def custom_extractors(eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any) -> list[Any]:
    """Replaces the extractors of TFMA that split the input into single examples by one that groups by user. TFX's Evaluator calls this."""
    extractors = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    keys = {json.loads(f"{{{metric.config}}}").get("key") for spec in eval_config.metrics_specs for metric in spec.metrics}
    group_by_user = group_by_user_extractor(eval_config, USER_ID if USER_ID in keys else None, REQUEST_ID if REQUEST_ID in keys else None)
    replaced = {unbatch_stage_name(), group_by_user.stage_name}
    return [*(extractor for extractor in extractors if extractor.stage_name not in replaced), group_by_user]
