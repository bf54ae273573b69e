"""The dashboard: server-rendered pages that stay readable without scripts and live with them."""
