"""What a run says: scores, tables, comparisons, the paper's figures, plots."""
