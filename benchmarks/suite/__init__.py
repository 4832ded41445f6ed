"""`din bench quality --suite`: compares models on several data sets, with several seeds, and keeps finished trainings."""
