"""(see the files)"""
