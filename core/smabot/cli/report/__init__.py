"""`smabot report`: what an account did, gathered once, and written as a page, CSV, JSON or a table."""
