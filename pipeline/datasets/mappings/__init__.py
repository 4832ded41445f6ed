"""Mappings of public click logs that ship with the package, for `din import clicklog --mapping NAME`."""
