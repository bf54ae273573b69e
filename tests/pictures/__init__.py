"""``make pictures``: every page in both themes and several widths, taken from an installation that really works."""
