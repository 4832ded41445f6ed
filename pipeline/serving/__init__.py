"""What is on either side of TF Serving: requests, versions and their configuration, a client, and a stand-in for development."""
