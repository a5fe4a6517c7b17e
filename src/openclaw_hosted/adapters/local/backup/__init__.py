"""Backup and restore of a data directory: one archive, checked member by member, encrypted where a passphrase is given."""
