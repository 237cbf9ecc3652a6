"""Does the judge detect an effect that is known to exist, and nothing else?"""
