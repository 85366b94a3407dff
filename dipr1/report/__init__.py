"""The page that compares the arms: read the results, draw them, fill in the template."""
