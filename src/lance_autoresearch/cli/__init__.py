"""The commands, one file a verb; `app` knows their names and loads them when called."""
