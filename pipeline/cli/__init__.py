"""The `din` command: parsing of arguments and printing, nothing else. One file holds one group of commands."""
