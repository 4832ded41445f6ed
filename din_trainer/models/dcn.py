"""DCN-v2 (Wang et al., 2021, arXiv 2008.13535): a cross network beside the MLP, on the inputs of the base model."""

from typing import Any

import keras

from din_trainer.layers.cross_network import CrossNetwork
from din_trainer.models.base import Base
from din_trainer.models.model_inputs import ModelInputs


@keras.saving.register_keras_serializable("din_trainer")
class DCN(Base):
    """The parallel form (figure 1, right): both parts read all inputs, and one linear unit reads both outputs.

    The linear unit is the sum of the MLP's own and of one for the cross network.
    """

    def make_layers(self) -> None:
        super().make_layers()
        self.cross_network = CrossNetwork(self.mlp_width(), self.din_config.model.cross_layers, name="cross_network")
        self.cross_logit = keras.layers.Dense(len(self.din_config.features.labels), use_bias=False, name="cross_logit")

    def build(self, input_shape: Any = None) -> None:
        super().build()
        self.cross_network.build()
        self.cross_logit.build((None, self.mlp_width()))

    def shallow(self, inputs: ModelInputs, fields: dict[str, Any], x: Any, training: bool) -> Any:
        return self.as_logits(self.cross_logit(self.cross_network(x)))
