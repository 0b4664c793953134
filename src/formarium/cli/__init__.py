"""The commands: one thin file each, which imports its room only when it runs."""
