"""The vocabulary of a watched training: signals, records, the run file and the read-only `Run`.

Standard library and NumPy only. Adapters write it, checks read it, and neither knows the other.
Nothing is sent anywhere.
"""
