"""What a filter decided: versions, ledgers, what is handed over."""
