"""What an account has made, in the figures that traders compare."""
