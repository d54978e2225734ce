"""A stand-in for Google Sheets: OAuth tokens, the Drive calls and the Sheets API v4 that gspread uses, over HTTP on loopback."""
