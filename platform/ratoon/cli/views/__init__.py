"""How answers read: pure functions from the ledger's records to blocks of text."""
