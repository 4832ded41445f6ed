"""Mappings of public click logs, for `din import clicklog --mapping NAME`."""
