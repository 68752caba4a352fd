"""A run as event files that TensorBoard shows."""
