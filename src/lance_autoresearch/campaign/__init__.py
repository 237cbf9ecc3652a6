"""What happens over many trials of one target?"""
