"""Where bars come from: data files and the simulated market, in the regular sessions."""
