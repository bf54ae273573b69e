"""HTTP to nodes: signed, to checked addresses only, within a total deadline, never following a redirect."""
