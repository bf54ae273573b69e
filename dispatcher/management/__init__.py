"""The command line: `manage.py up`, `engine`, `doctor` and the rest."""
