"""A deterministic simulation of a whole installation: one seed, one history, replayed exactly.

Real here: the lifecycle, the node registry, the assigner with the scheduling core, sweeper, stager, the poller's
reconciliation, what is made of answers to pushes, the roll-ups, the database's statements and constraints; and on the
workers' side the node with its ledger, completions and outbox. Simulated: time, network, processes, handlers, people.

After every step the invariants of ``invariants`` hold or the history ends with the one that broke. ``defects`` puts
mistakes into the real code on purpose: each has to be found.
"""
