"""What is made of finished runs: tables, comparisons, figures, the report. Without torch."""
