"""What is a target, which exist, and how is a new one made?"""
