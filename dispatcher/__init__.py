"""The dispatcher: takes tasks, chooses nodes, pushes, watches, records."""
