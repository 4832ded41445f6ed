"""The examination of an export before it is pushed: does it answer as training did, fast enough and in little enough memory?"""
