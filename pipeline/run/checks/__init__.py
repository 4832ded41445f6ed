"""What is checked before TensorFlow starts: the machine, the servers and every impression."""
