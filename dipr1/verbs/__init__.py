"""One module per verb of the command line: its flags and what it does with files."""
