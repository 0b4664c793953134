"""Token mixers: how tokens exchange what they hold."""
