"""Looking after runs: watching, verifying, merging and cleaning them."""
