"""CSV files in the landing bucket become rows of the store: claim, stream, validate, stage, apply, account."""
