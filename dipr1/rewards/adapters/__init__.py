"""The rewards as other trainers call them: verl, EasyR1, ms-swift."""
