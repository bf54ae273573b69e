"""Project glue: settings, URLs and server entry points. No logic of the dispatcher lives here."""
