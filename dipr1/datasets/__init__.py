"""Data sets: fetch them, read their annotations, convert them to artifacts."""
