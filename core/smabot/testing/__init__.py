"""What proves that a bot keeps its promises: orders of events drawn at random, with kills in between."""
