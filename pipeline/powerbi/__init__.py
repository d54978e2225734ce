"""The Power BI project: a semantic model in TMDL and a report in PBIR, as text made from the registry and the app's own words."""
