"""A stand-in for BigQuery on the loopback address, for the real google-cloud-bigquery and dbt-bigquery clients.

Queries are checked and run by Google's own analyzer and reference executor (PyPI `zetasql`), rows are kept in DuckDB.
`server.running()` starts one; `checks.analyze()` puts a statement through the analyzer alone.
"""
