"""How what the old system knew comes into the table: in one process, or in parts by functions."""
