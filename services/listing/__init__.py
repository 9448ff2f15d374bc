"""Lists of jobs: the language of filters, what it is in SQL, and pages."""
