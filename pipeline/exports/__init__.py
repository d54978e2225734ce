"""The published version as files for others: one relation, or the star that Power BI reads."""
