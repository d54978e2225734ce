"""The app as people feel it: a real browser, many readers at once, and a like page of a peer beside it."""
