"""What a filter did, for those who pay for it: facts as JSON values, and one HTML file of them to mail."""
