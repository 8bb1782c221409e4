"""What helps with typing: help texts, completion, and answers to what people expect."""
