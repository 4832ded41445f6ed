"""The text of a suite with two data sets: the source of the first exists, that of the second does not."""

SUITE = """
seeds = [0, 1]
models = ["lr", "din", "deepctr"]
[[data]]
name = "there"
title = "There"
importer = "movielens"
source = "there.csv"
config = "movielens"
[[data]]
name = "absent"
title = "Absent"
importer = "taobao"
source = "absent.csv"
config = "movielens"
"""
