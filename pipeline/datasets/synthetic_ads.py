"""Synthetic ads: the price and the brand of each candidate, and how they change the probability of a click.

With `synthetic.ads`, the logit of `synthetic_world` has two more terms:

    quality(brand) − PRICE · (log price − log usual)
    log usual = (log price of the category + Σ relevance · log price of the event) / (1 + Σ relevance)    over the events of the history

So users click less on what costs more than what they clicked before. An item costs something else each time that it is shown: what it
usually costs, times an offer of the moment. So its id does not say its price. Items of a brand share its quality, so the brand says
something about items that are rare. Price, brand and the prices in the history are features: the oracle stays the best that a model can
reach, in expectation.
"""

from typing import NamedTuple

import numpy as np

BRANDS = 100
QUALITY = 0.5  # standard deviation over brands, in logits
PRICE = 1.2  # logits for each unit of log price
MEAN_LOG_PRICE = 3.4  # about 30
PRICE_SPREAD = 3.0  # of the log price, for each unit of a vector along `direction`: 0.75 over categories, 0.3 within one
OFFER = 0.4  # standard deviation of the log price of one item, from impression to impression


class Ads(NamedTuple):
    """What does not change."""

    quality: np.ndarray  # (BRANDS,) how easily an item of a brand is clicked, in logits
    direction: np.ndarray  # (VECTOR_SIZE,) of length 1: the part of an item's vector that says its price


def make_ads(vector_size: int, rng: np.random.Generator) -> Ads:
    """Draws the brands, and the direction of the price."""
    direction = rng.standard_normal(vector_size)
    return Ads(QUALITY * rng.standard_normal(BRANDS), direction / np.linalg.norm(direction))


def brand_of(item: np.ndarray) -> np.ndarray:
    """Returns the brands of items. Ids are drawn at random, so items of all categories and popularities share a brand."""
    return item % BRANDS


def usual_log_price(ads: Ads, vector: np.ndarray) -> np.ndarray:
    """(…, VECTOR_SIZE) vectors of items, or centres of categories -> (…) logarithms of what these cost without an offer."""
    return MEAN_LOG_PRICE + PRICE_SPREAD * (vector @ ads.direction)


def draw_prices(ads: Ads, vector: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(…, VECTOR_SIZE) vectors of items -> (…) float32: what they cost this time, to the cent."""
    log_price = usual_log_price(ads, vector) + OFFER * rng.standard_normal(vector.shape[:-1])
    return np.round(np.exp(log_price), 2).astype(np.float32)


def ads_logit(
    ads: Ads, item: np.ndarray, centre: np.ndarray, price: np.ndarray, relevance: np.ndarray, event_price: np.ndarray
) -> np.ndarray:
    """Returns what brand and price add to the logit.

    Args:
        ads: Brands and prices.
        item: (R, PAGE), the candidates.
        centre: (R, PAGE, VECTOR_SIZE), the centres of their categories.
        price: (R, PAGE), what they cost.
        relevance: (R, PAGE, H), of the events for them; 0 where there is none.
        event_price: (R, H), what the events cost; not read where there is none.

    Returns:
        (R, PAGE).
    """
    log_event = np.log(np.where(event_price > 0, event_price, 1), dtype=np.float64)
    usual = (usual_log_price(ads, centre) + (relevance * log_event[:, None]).sum(-1)) / (1 + relevance.sum(-1, dtype=np.float64))
    return ads.quality[brand_of(item)] - PRICE * (np.log(price, dtype=np.float64) - usual)
