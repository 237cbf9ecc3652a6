"""What is a target, which are there, and how is a new one made?"""
