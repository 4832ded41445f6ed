"""A suite with one data set that is there and one that is not."""

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
