"""How does text become a library, and from what exactly was it made?"""
