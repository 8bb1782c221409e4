"""`smabot alpaca probe`: what this plugin assumes of Alpaca, tried with orders that can't fill."""
