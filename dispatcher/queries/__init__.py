"""Read models: everything that API, pages and live topics show. Nothing here writes.

The shapes are in ``shapes``, the filters of task lists in ``filters``. No function counts or scans tasks without a
bound: numbers come from counters folded from the feed, lists from indexes or from a bounded window of ids.
"""
