"""The page: one file per tab, shared pieces beside them. Nothing here needs torch until a run begins."""
