"""Songs that wait, run and end."""
