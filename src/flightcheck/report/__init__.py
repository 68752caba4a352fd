"""What users and machines read: terminal, JSON, SARIF."""
