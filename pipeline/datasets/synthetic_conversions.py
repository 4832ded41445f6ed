"""Synthetic purchases: which clicks are followed by one, from a known probability.

With `synthetic.conversions`, each impression has a second label, `purchase`. Only what was clicked is purchased, with the probability

    σ(BIAS + thrift(user) + VALUE · (vector(item) · direction) + FIT · best − PRICE · (log price − log price of the category))

where `best` is the largest relevance (`synthetic_world`) of an event in the history for the item. The last term is there with
`synthetic.ads` only. A click depends on other properties of user and item, and on the sum over the history. So the items that are clicked
most are not those that are purchased most. For the oracle, the probability of a purchase is that of a click times this one.
"""

import numpy as np

from pipeline.datasets.synthetic_ads import usual_log_price
from pipeline.datasets.synthetic_config import SyntheticConfig
from pipeline.datasets.synthetic_world import VECTOR_SIZE, Requests, World, relevance

CLICK, PURCHASE = "click", "purchase"  # the labels
BIAS = -2.0
THRIFT = 0.5  # standard deviation over users, in logits
VALUE = 3.0  # logits for each unit of a vector along `direction`
FIT = 2.0  # logits for an item that was clicked before
PRICE = 0.8  # logits for each unit of log price


class Conversions:
    """Draws purchases. It has random numbers of its own, so that the clicks are the same without it.

    Args:
        config: Users and seed.

    Attributes:
        thrift: (users,) how easily a user purchases what they click, in logits.
        direction: (VECTOR_SIZE,) of length 1: the part of an item's vector that says how well it sells.
    """

    def __init__(self, config: SyntheticConfig):
        self._rng = np.random.default_rng([config.seed, 1])
        self._is_random = config.labels == "random"
        self.thrift = THRIFT * self._rng.standard_normal(config.users)
        direction = self._rng.standard_normal(VECTOR_SIZE)
        self.direction = direction / np.linalg.norm(direction)

    def draw(self, world: World, requests: Requests) -> Requests:
        """Returns the requests with purchases, and with the probabilities of a purchase."""
        after_click = self.probability(world, requests)
        bought = requests.label * (self._rng.random(requests.label.shape) < after_click)
        return requests._replace(purchase_probability=requests.probability * after_click, purchase=bought)

    def probability(self, world: World, requests: Requests) -> np.ndarray:
        """Returns the probability of a purchase after a click, (R, PAGE)."""
        if self._is_random:
            return np.full(requests.item.shape, 0.5)
        best = relevance(world, requests.item, requests.event_item).max(-1)
        logit = BIAS + self.thrift[requests.user][:, None] + VALUE * (world.vector[requests.item] @ self.direction) + FIT * best
        if world.ads and requests.price is not None:
            usual = usual_log_price(world.ads, world.centre[world.category[requests.item]])
            logit -= PRICE * (np.log(requests.price, dtype=np.float64) - usual)
        return 1 / (1 + np.exp(-logit))
