"""Does the judge see what is known to be there, and nothing else?"""
