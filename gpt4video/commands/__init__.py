"""The commands, one file each: its help, its options, and what it does.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""
