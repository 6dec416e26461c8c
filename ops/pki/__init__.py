"""`pki`: the stack's own small certificate authority, its certificates, their keys, and passwords."""
