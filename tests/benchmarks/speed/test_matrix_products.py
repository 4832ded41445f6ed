"""Operations of the matrix products, worked out by hand."""

from benchmarks.speed.matrix_products import ranking_flops, training_flops


def test_operations_of_a_training_step():
    # attention: 2·16·80 + 80·40 + 40 = 5,800 an event, 16·80 = 1,280 an impression
    # MLP: 48·128 + 128·64 + 64·32 + 32 = 16,416 an impression
    assert training_flops(0) == 6 * (1_280 + 16_416)
    assert training_flops(5.5) == 6 * (5.5 * 5_800 + 1_280 + 16_416)


def test_operations_of_rank():
    # a candidate and event: 32·80 of the product block, 80·40, 40; a candidate: 80·128, 128·64, 64·32, 32
    assert ranking_flops(10, 500) == 2 * 500 * (10 * (2_560 + 3_200 + 40) + 10_240 + 8_192 + 2_048 + 32) == 78_512_000
