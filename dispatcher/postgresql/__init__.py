"""The PostgreSQL engine with a look at connections before they are used (``ENGINE: "dispatcher.postgresql"``)."""
